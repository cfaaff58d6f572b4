"""Connections and transactions: every operation is its own short one, from any thread."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from twindex.errors import IntegrityError, TwindexError, UsageError
from twindex.stopping import uninterrupted
from twindex.storage.faults import needs_recovery, translated_faults
from twindex.storage.journal import connection_uri, journal_mode

_BUSY_SECONDS = 30.0
_CHECKPOINT_MILLISECONDS = 1000
# At most. A search of a large gallery reads pages all over it, inner ones again and again: it takes half as long.
_CACHE_KIB = 32_768
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
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._closed = False
        # Where the pool lends without limit, a thread waits for SQLite's lock, never for a connection.
        self._readers = create_engine(
            "sqlite+pysqlite://",
            creator=partial(self._connect, read_only=read_only),
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=-1,
            json_serializer=canonical_json,
            json_deserializer=_read_json,
        )
        event.listen(self._readers, "begin", self._begin)
        self._writers = self._readers.execution_options(begin_statement="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        with self._transaction(self._readers) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; commits at the end, rolls back on an error.

        Raises:
            UsageError: If the gallery was opened read-only, or another process holds the lock for 30 seconds.
        """
        if self.read_only:
            raise UsageError(f"The gallery's database {str(self.path)!r} was opened read-only; open it for writing.")
        with self._transaction(self._writers) as connection:
            yield connection

    def truncate_journal(self) -> bool:
        """Remove erased bytes from the write-ahead log, if there is one.

        Returns:
            True if no journal holds old bytes now; False while a reader still needs the log.
        """
        self._refuse_closed()
        with translated_faults(self.path):
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

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._closed = True
        self._readers.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        self._refuse_closed()
        with uninterrupted(), translated_faults(self.path), engine.begin() as connection:
            yield connection

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
        except sqlite3.OperationalError as error:
            if not needs_recovery(error):
                raise
            writer = self._connect(read_only=False)
            try:
                writer.execute(_FIRST_READ)
            finally:
                writer.close()
            connection.execute(_FIRST_READ)

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            connection_uri(self.path, read_only=read_only),
            uri=True,
            timeout=_BUSY_SECONDS,
            # The pool hands a connection to one thread at a time.
            check_same_thread=False,
            # The driver starts no transaction by itself; `_begin` does.
            isolation_level=None,
        )
        try:
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
        wanted = journal_mode(sqlite3.sqlite_version_info)
        got = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
        if got != wanted:
            raise TwindexError(
                f"The gallery's database {str(self.path)!r} needs journal mode {wanted}, but keeps {got}; "
                "close every other program that has it open."
            )
