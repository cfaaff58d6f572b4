"""Connections and transactions: every operation is a short transaction of its own, from any thread."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import local
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from twindex.encryption.keys import DerivedKeys
from twindex.errors import IntegrityError, TwindexError, UsageError
from twindex.running.stopping import uninterrupted
from twindex.storage.sqlite.driver import driver_for, unlock
from twindex.storage.sqlite.faults import needs_recovery, translated_faults
from twindex.storage.sqlite.gallery_lock import GalleryLock
from twindex.storage.sqlite.journal import connection_uri, journal_mode
from twindex.storage.sqlite.raw_files import RawFiles

_BUSY_SECONDS = 30.0
_CHECKPOINT_MILLISECONDS = 1000
# The upper limit for each connection. It halves the time of a search in a large gallery, which reads pages all over the
# file, and its inner pages again and again.
_CACHE_KIB = 32_768
_PAGES_AT_ONCE = 4096  # pages copied per step; signals are handled between steps
_FIRST_READ = "SELECT 1 FROM sqlite_master LIMIT 1"

canonical_json = partial(json.dumps, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"The database holds damaged JSON ({error}); restore a backup.") from error


class Database:
    """An open SQLite file.

    Args:
        path: An existing file.
        read_only: Open it so that it cannot be changed.
        keys: The keys it is encrypted with; None if it is not encrypted.

    Raises:
        UsageError: The gallery is just being encrypted with another key, or the packages to decrypt it are missing.
    """

    def __init__(self, path: Path, *, read_only: bool, keys: DerivedKeys | None = None) -> None:
        self.path = path
        self.read_only = read_only
        self.keys = keys
        self.raw = RawFiles(path)
        self._driver = driver_for(keys)
        self._gallery_lock = GalleryLock(path.parent, "shared")
        self._closed = False
        # The pool has no upper limit, so a thread may wait for SQLite's lock but never for a connection.
        self._readers = create_engine(
            "sqlite+pysqlite://",
            module=self._driver,
            creator=partial(self._connect, read_only=read_only),
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=-1,
            json_serializer=canonical_json,
            json_deserializer=_read_json,
        )
        event.listen(self._readers, "begin", self._begin)
        self._writers = self._readers.execution_options(begin_statement="BEGIN IMMEDIATE")
        self._thread = local()  # the connection of the `one_state` block that a thread is in

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        held = self._held()
        if held is None:
            with self._transaction(self._readers) as connection:
                yield connection
        else:
            with translated_faults(self.path):
                yield held

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Read one consistent state inside the block: all reads of this thread share one transaction.

        Keep the block short: without a write-ahead log, no other process can commit until it ends.
        """
        with self.read() as connection:
            before, self._thread.connection = self._held(), connection
            try:
                yield
            finally:
                self._thread.connection = before

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; commits at the end, rolls back on an error.

        Raises:
            UsageError: If the gallery was opened read-only, or another process holds the lock for 30 seconds.
            TwindexError: If the thread is inside `one_state`, because it would wait for its own lock.
        """
        if self._held() is not None:
            raise TwindexError(
                "A write was started inside a `one_state` block of the same thread; leave the block first."
            )
        if self.read_only:
            raise self._opened_read_only()
        with self._transaction(self._writers) as connection:
            yield connection

    def truncate_journal(self) -> bool:
        """Remove erased bytes from the write-ahead log, if there is one.

        Returns:
            True if no journal holds old bytes any more; False while a reader still needs the log.
        """
        self._refuse_closed()
        with translated_faults(self.path, self._driver.Error):
            connection = self._readers.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
                # Without a write-ahead log this returns (0, -1, -1): every commit empties a rollback journal.
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
            finally:
                connection.close()
        return bool(busy == 0)

    def copy_to(self, path: Path) -> None:
        """Copy one state of the database with SQLite's online backup, while others may write.

        The copy is encrypted with the same key, if there is one.

        Args:
            path: An empty file. The copy uses a rollback journal, so that it is complete in this one file.

        Raises:
            TwindexError: The copy cannot be written, or this database cannot be read.
        """
        self._refuse_closed()
        with translated_faults(self.path, self._driver.Error):
            source = self._connect(read_only=self.read_only)
        connect, fault = partial(self._driver.connect, path, isolation_level=None), self._driver.Error
        with closing(source), translated_faults(path, fault), closing(connect()) as copy:
            if self.keys is not None:
                unlock(copy, self.keys)
            # Without its own transaction the backup would start again whenever another process writes.
            source.execute("BEGIN")
            source.execute(_FIRST_READ)
            source.backup(copy, pages=_PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode = DELETE")

    def rewrite(self) -> None:
        """Rewrite the whole file from its current rows, so that no unused part still holds old bytes.

        This takes about as much memory as the file is long, because nothing may be written to a temporary file.

        Raises:
            UsageError: If the gallery was opened read-only, or another process reads or writes for 30 seconds.
        """
        if self.read_only:
            raise self._opened_read_only()
        self._refuse_closed()
        with translated_faults(self.path, self._driver.Error):
            connection = self._readers.raw_connection()
            try:
                connection.cursor().execute("VACUUM")
            finally:
                connection.close()

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._closed = True
        self._readers.dispose()
        self.raw.close()
        self._gallery_lock.close()

    def _held(self) -> Connection | None:
        held: Connection | None = getattr(self._thread, "connection", None)
        return held

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        self._refuse_closed()
        with uninterrupted(), translated_faults(self.path, self._driver.Error), engine.begin() as connection:
            yield connection

    def _opened_read_only(self) -> UsageError:
        return UsageError(f"The gallery's database {str(self.path)!r} was opened read-only; open it for writing.")

    def _refuse_closed(self) -> None:
        if self._closed:
            raise UsageError(f"The gallery's database {str(self.path)!r} is closed; open it again.")

    def _begin(self, connection: Connection) -> None:
        """Start the transaction, which SQLAlchemy assumes the driver has already done."""
        options: Any = connection.get_execution_options()
        connection.exec_driver_sql(options.get("begin_statement", "BEGIN"))
        if self.read_only:
            driver: Any = connection.connection.driver_connection
            self._see_one_state(driver)

    def _see_one_state(self, connection: sqlite3.Connection) -> None:
        """Read something now, so that the unfinished transaction of a killed writer is rolled back before it matters.

        A writing connection does that by itself when it takes its lock, but a read-only connection must not write.
        """
        try:
            connection.execute(_FIRST_READ)
        except self._driver.OperationalError as error:
            if not needs_recovery(error, primary_only=self.keys is not None):
                raise
            writer = self._connect(read_only=False)
            try:
                writer.execute(_FIRST_READ)
            finally:
                writer.close()
            connection.execute(_FIRST_READ)

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._driver.connect(
            connection_uri(self.path, read_only=read_only),
            uri=True,
            timeout=_BUSY_SECONDS,
            # The pool hands a connection to one thread at a time.
            check_same_thread=False,
            # The driver starts no transaction by itself; `_begin` does.
            isolation_level=None,
        )
        try:
            if self.keys is not None:
                unlock(connection, self.keys)
            connection.execute("PRAGMA foreign_keys = ON")
            # Otherwise SQLite could write vectors to a temporary file.
            connection.execute("PRAGMA temp_store = MEMORY")
            if read_only:
                # Before the next statement, which reads the schema.
                self._see_one_state(connection)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            if not read_only:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
                self._set_journal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_journal(self, connection: sqlite3.Connection) -> None:
        wanted = journal_mode(self._driver.sqlite_version_info)
        got = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
        if got != wanted:
            raise TwindexError(
                f"The gallery's database {str(self.path)!r} needs journal mode {wanted}, but stays in {got}; "
                "close every other program that has it open."
            )
