"""Giving a gallery's database another key, its first one, or none: a sound new file takes the old one's name.

SQLCipher can change a key in place but not encrypt a plain file, and leaves the salt, which tells a wrong key here.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from twindex.encryption.keys import DerivedKeys, GalleryKey, matching_keys, new_keys
from twindex.errors import EncryptionKeyError, IntegrityError, UsageError
from twindex.files.durable import replace
from twindex.storage.checks.inspection import inspect
from twindex.storage.creation import make_private_file
from twindex.storage.rows.audit import Audit
from twindex.storage.schema.migrations import MIGRATIONS
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.driver import key_literal, settle, sqlcipher, unlock
from twindex.storage.sqlite.faults import translated_faults
from twindex.storage.sqlite.gallery_lock import GalleryLock
from twindex.storage.sqlite.journal import APPLICATION_ID, connection_uri, read_header

_BLOCK = 1 << 20
_LEFTOVERS = "rekey"


def rekey_database(
    path: Path, present: GalleryKey | None, wanted: GalleryKey | None, discard_copies: Callable[[], None]
) -> None:
    """Encrypt a database with another key, or with none.

    A crash leaves the old file or the new one under the database's name, and at most a folder that the next opening
    for writing removes. The old file's bytes are overwritten where they lie.

    Args:
        path: Of the database.
        present: What it is encrypted with, if it is.
        wanted: What it is to be encrypted with; None for not at all.
        discard_copies: Removes what else is encrypted with the present key, or not at all; called when the new file is
            sound and before it takes the name. It must be nothing that the database cannot do without.

    Raises:
        UsageError: Somebody has the gallery open, it is of an older schema, or it is not encrypted and shall stay so.
        EncryptionKeyError: The present key is missing, wrong, or given to a gallery that is not encrypted.
        IntegrityError: The gallery is damaged; it is as it was.
    """
    before = matching_keys(path, read_header(path).encryption, present)
    if before is None and wanted is None:
        raise EncryptionKeyError(f"The gallery's database {str(path)!r} is not encrypted, and no new key was given.")
    lock = GalleryLock(path.parent, "exclusive")
    try:
        remove_leftovers(path)
        folder = path.with_name(f".{path.name}.{secrets.token_hex(8)}.{_LEFTOVERS}")
        folder.mkdir(mode=0o700)
        try:
            _replace(path, before, folder / path.name, None if wanted is None else new_keys(wanted), discard_copies)
        finally:
            shutil.rmtree(folder)
    finally:
        lock.close()


def remove_leftovers(path: Path) -> None:
    """Remove what a killed `rekey_database` left beside a database; not while one is under way.

    Raises:
        OSError: It cannot be removed.
    """
    for folder in leftovers(path):
        shutil.rmtree(folder)


def leftovers(path: Path) -> list[Path]:
    """The folders of a rekeying of this database that is under way, or was killed."""
    return list(path.parent.glob(f".{path.name}.*.{_LEFTOVERS}"))


def _replace(
    path: Path, before: DerivedKeys | None, new: Path, keys: DerivedKeys | None, discard_copies: Callable[[], None]
) -> None:
    make_private_file(new)
    driver = sqlcipher()
    with translated_faults(path, driver.Error), closing(_alone(driver, path, before)) as connection:
        _copy(connection, path, new, keys)
    _refuse_unsound(new, keys)
    _account(new, keys, was_encrypted=before is not None)
    discard_copies()
    # A writer that was killed before its journal was synced leaves pages in it that SQLite takes for nothing.
    discard(path.with_name(f"{path.name}-journal"))
    with path.open("r+b", buffering=0) as old:
        replace(new, path)
        overwrite(old.fileno())


def _alone(driver: Any, path: Path, keys: DerivedKeys | None) -> Any:
    """A connection to a database that no other program has open with a write-ahead log, and that has none now."""
    connection = driver.connect(connection_uri(path, read_only=False), uri=True, isolation_level=None, timeout=1.0)
    try:
        settle(connection)
        if keys is not None:
            unlock(connection, keys)
        connection.execute("PRAGMA temp_store = MEMORY")
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        connection.close()
        raise
    if mode != "delete" or version != len(MIGRATIONS):
        connection.close()
        if mode != "delete":
            raise UsageError(f"Another program has the database {str(path)!r} open; end it and try again.")
        raise UsageError(
            f"The gallery's database {str(path)!r} has schema {version}, expected {len(MIGRATIONS)}; bring it up to "
            "date with `twindex compact` first."
        )
    return connection


def _copy(connection: Any, path: Path, new: Path, keys: DerivedKeys | None) -> None:
    """Write the whole content of a database, but for the snapshots it lists, to an empty file."""
    literal = "" if keys is None else key_literal(keys)
    connection.execute("ATTACH DATABASE ? AS new KEY ?", (connection_uri(new, read_only=False), literal))
    # Reading keeps others from writing to the old one. Were both locked for writing, SQLite would commit by a file of
    # its own beside them, which a kill leaves there.
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
    connection.execute("SELECT sqlcipher_export('new')").fetchone()
    connection.execute("UPDATE new.generations SET snapshot = NULL")
    # The export carries neither over.
    connection.execute(f"PRAGMA new.application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA new.user_version = {len(MIGRATIONS)}")
    tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
    for table in tables:
        old_rows, new_rows = (
            connection.execute(f'SELECT count(*) FROM {schema}."{table}"').fetchone()[0] for schema in ("main", "new")
        )
        if old_rows != new_rows:
            raise IntegrityError(
                f"The copy of the gallery's database {str(path)!r} has {new_rows} rows in {table!r}, expected "
                f"{old_rows}; the gallery is as it was. Run `twindex doctor`."
            )
    connection.execute("COMMIT")
    connection.execute("DETACH DATABASE new")


def _refuse_unsound(new: Path, keys: DerivedKeys | None) -> None:
    database = Database(new, read_only=False, keys=keys)
    try:
        findings = inspect(database)
    finally:
        database.close()
    if findings:
        raise IntegrityError(
            f"The gallery is damaged, and is as it was: {findings[0].text} ({len(findings)} findings) "
            "Run `twindex doctor` first, which says how to mend it."
        )


def _account(new: Path, keys: DerivedKeys | None, *, was_encrypted: bool) -> None:
    """A row in the new database's audit, which appears with it or not at all."""
    database = Database(new, read_only=False, keys=keys)
    try:
        Audit(database).add("rekey", {"was_encrypted": was_encrypted, "encrypted": keys is not None})
        if not database.truncate_journal():
            raise IntegrityError(f"The new database {str(new)!r} has a journal; the gallery is as it was. Try again.")
    finally:
        database.close()


def refuse_shared(files: Iterable[Path]) -> None:
    """Refuse files that have another name, a backup's perhaps: overwriting one would overwrite the other.

    Raises:
        UsageError: One has.
    """
    for file in files:
        with suppress(FileNotFoundError):  # a snapshot that was replaced meanwhile
            if not file.is_symlink() and file.stat().st_nlink > 1:
                raise UsageError(
                    f"{str(file)!r} has another name somewhere (a hard link), and a change of the key overwrites what "
                    "both show. Make that other file a copy of its own, or remove it, and try again."
                )


def discard(path: Path) -> None:
    """Overwrite a file and remove it, if there is one. A symbolic link is removed; what it leads to is left alone.

    Raises:
        OSError: It cannot be written or removed.
    """
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        with path.open("r+b", buffering=0) as stale:
            overwrite(stale.fileno())
        path.unlink()


def overwrite(descriptor: int) -> None:
    """Write zeros over a file where it lies; a file system or disk that writes elsewhere keeps what was there.

    Raises:
        OSError: It cannot be written.
    """
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, bytes(min(_BLOCK, left)))
    os.fsync(descriptor)
