"""Encrypting a gallery's database with another key, for the first time, or no longer.

The content is copied to a new file, which is checked and then replaces the old one. SQLCipher could change a key in
place, but it cannot encrypt a plain file, and it keeps the salt, by which a wrong key is recognised here.
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
    """Encrypt a database with another key, or remove its encryption.

    A crash leaves either the old file or the new one under the database's name, and at most one extra folder, which is
    removed when the database is next opened for writing. The old file's bytes are overwritten in place.

    Args:
        path: The database.
        present: The key it is encrypted with now; None if it is not encrypted.
        wanted: The new key; None to store the database unencrypted.
        discard_copies: Removes every other file that holds the gallery's data under the old key or unencrypted. It is
            called when the new file has been checked, just before the replacement, and must not remove anything that
            the database needs.

    Raises:
        UsageError: Another program has the gallery open, or its schema is older than this version's.
        EncryptionKeyError: The present key is missing, wrong, or given for a gallery that is not encrypted; or the
            gallery is not encrypted and no new key is given.
        IntegrityError: The gallery is damaged; it is unchanged.
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
    """Remove the folders that a killed `rekey_database` left beside a database; not while a rekeying is running.

    Raises:
        OSError: A folder cannot be removed.
    """
    for folder in leftovers(path):
        shutil.rmtree(folder)


def leftovers(path: Path) -> list[Path]:
    """The folders of rekeyings of this database, running or killed."""
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
    # If a writer was killed before its journal was synced, SQLite ignores the journal, but old pages are still in it.
    discard(path.with_name(f"{path.name}-journal"))
    with path.open("r+b", buffering=0) as old:
        replace(new, path)
        overwrite(old.fileno())


def _alone(driver: Any, path: Path, keys: DerivedKeys | None) -> Any:
    """A connection to a database that no other program uses, after any write-ahead log has been removed."""
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
    """Copy the whole database to an empty file, except for the list of snapshots."""
    literal = "" if keys is None else key_literal(keys)
    connection.execute("ATTACH DATABASE ? AS new KEY ?", (connection_uri(new, read_only=False), literal))
    # A read lock is enough to keep others from writing to the old file. With write locks on both files, SQLite would
    # commit through an extra file beside them, which a kill would leave there.
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
    connection.execute("SELECT sqlcipher_export('new')").fetchone()
    connection.execute("UPDATE new.generations SET snapshot = NULL")
    # `sqlcipher_export` copies neither of these.
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
                f"{old_rows}; the gallery is unchanged. Run `twindex doctor`."
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
            f"The gallery is damaged and was left unchanged: {findings[0].text} ({len(findings)} findings) "
            "Run `twindex doctor` first, which says how to repair it."
        )


def _account(new: Path, keys: DerivedKeys | None, *, was_encrypted: bool) -> None:
    """Record the rekeying in the new database's audit, so that both take effect together."""
    database = Database(new, read_only=False, keys=keys)
    try:
        Audit(database).add("rekey", {"was_encrypted": was_encrypted, "encrypted": keys is not None})
        if not database.truncate_journal():
            raise IntegrityError(f"The new database {str(new)!r} has a journal; the gallery is unchanged. Try again.")
    finally:
        database.close()


def refuse_shared(files: Iterable[Path]) -> None:
    """Refuse files that have a second name, perhaps in a backup, because overwriting one overwrites the other.

    Raises:
        UsageError: A file has a second name.
    """
    for file in files:
        with suppress(FileNotFoundError):  # a snapshot may have been replaced meanwhile
            if not file.is_symlink() and file.stat().st_nlink > 1:
                raise UsageError(
                    f"{str(file)!r} has a second name somewhere (a hard link), and changing the key overwrites the "
                    "data under both. Make the other file a separate copy, or remove it, and try again."
                )


def discard(path: Path) -> None:
    """Overwrite a file and remove it, if it exists. Of a symbolic link, only the link itself is removed.

    Raises:
        OSError: The file cannot be written or removed.
    """
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        with path.open("r+b", buffering=0) as stale:
            overwrite(stale.fileno())
        path.unlink()


def overwrite(descriptor: int) -> None:
    """Write zeros over a file in place. A disk or file system that redirects writes may still keep the old bytes.

    Raises:
        OSError: The file cannot be written.
    """
    remaining = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while remaining > 0:
        remaining -= os.write(descriptor, bytes(min(_BLOCK, remaining)))
    os.fsync(descriptor)
