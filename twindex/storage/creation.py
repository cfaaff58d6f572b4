"""Making a gallery's database: it is filled under a temporary name, then published under its own."""

import os
import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from twindex.encryption.keys import DerivedKeys, GalleryKey, new_keys
from twindex.errors import UsageError
from twindex.files.durable import publish
from twindex.storage.rows.generations import activate_generation, insert_generation
from twindex.storage.schema.migrations import migrate
from twindex.storage.schema.tables import GALLERY
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.journal import APPLICATION_ID
from twindex.storage.values.records import GenerationSpec


def create_database(
    path: Path, *, keep_crops: bool, generation: GenerationSpec | None, key: GalleryKey | None = None
) -> None:
    """Make a new database. A crash leaves at most a temporary file that nothing ever reads.

    Args:
        path: The file to make.
        keep_crops: Whether the gallery keeps the crops it enrols from.
        generation: The first generation, active from the start.
        key: The key to encrypt the database with; None leaves it unencrypted.

    Raises:
        UsageError: If the file exists already, or the folder cannot be written.
        ValueError: If the generation's fingerprint is not ASCII.
    """
    if os.path.lexists(path):
        raise _exists(path)
    keys = None if key is None else new_keys(key)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        make_private_file(temporary)
    except OSError as error:
        raise UsageError(f"No gallery can be made at {str(path)!r} ({error}); check the folder.") from error
    try:
        _fill(temporary, keys, keep_crops=keep_crops, generation=generation)
        publish(temporary, path)
    except FileExistsError as error:
        raise _exists(path) from error
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def make_private_file(path: Path) -> None:
    """An empty file for a new database.

    Raises:
        OSError: The file exists already, or cannot be made.
    """
    # Only the owner may read it, since faces can be rebuilt from templates; SQLite's journals copy its permissions.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _fill(path: Path, keys: DerivedKeys | None, *, keep_crops: bool, generation: GenerationSpec | None) -> None:
    database = Database(path, read_only=False, keys=keys)
    try:
        with database.write() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(connection)
            connection.execute(
                insert(GALLERY).values(
                    id=1, gallery_id=str(uuid.uuid4()), keep_crops=keep_crops, created=datetime.now(UTC), threshold=None
                )
            )
            if generation is not None:
                activate_generation(connection, insert_generation(connection, generation))
    finally:
        database.close()


def _exists(path: Path) -> UsageError:
    return UsageError(f"A gallery cannot be made at {str(path)!r}: the file exists; open it, or choose another path.")
