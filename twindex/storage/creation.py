"""Making a gallery's database: complete under a temporary name, then given its own."""

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
    """Make a new database; a crash leaves at most a temporary file that nothing ever reads.

    Args:
        path: Where no file exists yet.
        keep_crops: Whether the gallery keeps the crops it enrols from.
        generation: The first one, active from the start.
        key: What it is encrypted with, if it is to be.

    Raises:
        UsageError: If there is a file already, or the folder cannot be written.
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
        OSError: It cannot be made, or there is one.
    """
    # Faces can be rebuilt from templates: the file is for its owner alone, and SQLite gives journals its mode.
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
