"""Connections and transactions: every operation is its own short one, from any thread."""

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
# At most. A search of a large gallery reads pages all over it, inner ones again and again: it takes half as long.
_CACHE_KIB = 32_768
_PAGES_AT_ONCE = 4096  # of a copy, between which a signal is heard
_FIRST_READ = "SELECT 1 FROM sqlite_master LIMIT 1"

canonical_json = partial(json.dumps, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"The database holds JSON that is damaged ({error}); restore a backup.") from error


class Database:
    """An open SQLite file.

    Args:
        path: An existing file.
        read_only: Open it without the means to change it.
        keys: What it is encrypted with, if it is.

    Raises:
        UsageError: The gallery is being given another key, or what decrypts it is not installed.
    """

    def __init__(self, path: Path, *, read_only: bool, keys: DerivedKeys | None = None) -> None:
        self.path = path
        self.read_only = read_only
        self.keys = keys
        self.raw = RawFiles(path)
        self._driver = driver_for(keys)
        self._gallery_lock = GalleryLock(path.parent, "shared")
        self._closed = False
        # Where the pool lends without limit, a thread waits for SQLite's lock, never for a connection.
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
        self._thread = local()  # holds the connection of the `one_state` that a thread is in

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
        """Let every read of this thread inside the block see one state, in one transaction.

        For as short as can be: where there is no write-ahead log, no other process can commit meanwhile.
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
            TwindexError: Inside `one_state`, whose lock this thread would wait for.
        """
        if self._held() is not None:
            raise TwindexError("A write was begun while this thread holds one state of the gallery; end that first.")
        if self.read_only:
            raise self._opened_read_only()
        with self._transaction(self._writers) as connection:
            yield connection

    def truncate_journal(self) -> bool:
        """Remove erased bytes from the write-ahead log, if there is one.

        Returns:
            True if no journal holds old bytes now; False while a reader still needs the log.
        """
        self._refuse_closed()
        with translated_faults(self.path, self._driver.Error):
            connection = self._readers.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
                # Without a write-ahead log this answers (0, -1, -1): a rollback journal is emptied by each commit.
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
            finally:
                connection.close()
        return bool(busy == 0)

    def copy_to(self, path: Path) -> None:
        """Copy one state of the database while others may write, by SQLite's online backup; encrypted if this is.

        Args:
            path: An empty file, which becomes a database with a rollback journal: whole in one file.

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
            # Without a transaction of its own the copy would begin again whenever somebody writes.
            source.execute("BEGIN")
            source.execute(_FIRST_READ)
            source.backup(copy, pages=_PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode = DELETE")

    def rewrite(self) -> None:
        """Write the whole file anew, from what is kept alone, so that no unused part holds anything old.

        Takes about as much memory as the file is long: nothing of it may be written elsewhere.

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
        """Start the transaction that SQLAlchemy believes the driver has started."""
        options: Any = connection.get_execution_options()
        connection.exec_driver_sql(options.get("begin_statement", "BEGIN"))
        if self.read_only:
            driver: Any = connection.connection.driver_connection
            self._see_one_state(driver)

    def _see_one_state(self, connection: sqlite3.Connection) -> None:
        """Begin to read now, so that what a killed writer left is undone here and met by no later statement.

        A connection for writing undoes it by itself when it takes its lock; a read-only one must not write.
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
            # A spilled page or statement journal would put vectors into a temporary file.
            connection.execute("PRAGMA temp_store = MEMORY")
            if read_only:
                # The next statement reads the schema.
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
                f"The gallery's database {str(self.path)!r} needs journal mode {wanted}, but keeps {got}; "
                "close every other program that has it open."
            )
