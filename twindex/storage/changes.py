"""The log of enrolments and erasures, which an index replays to catch up."""

from typing import cast

from sqlalchemy import Connection, func, insert, select

from twindex.storage.database import Database
from twindex.storage.records import Change, ChangeKind
from twindex.storage.schema import CHANGES


class Changes:
    """Reads the log.

    Args:
        database: Where it lies.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """The number of the last change; 0 for a new gallery."""
        with self._database.read() as connection:
            return connection.execute(select(func.coalesce(func.max(CHANGES.c.revision), 0))).scalar_one()

    def since(self, revision: int, limit: int | None = None) -> list[Change]:
        """The changes after `revision`, oldest first, at most `limit` of them."""
        statement = (
            select(CHANGES.c.revision, CHANGES.c.kind, CHANGES.c.reference)
            .where(CHANGES.c.revision > revision)
            .order_by(CHANGES.c.revision)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Change(number, cast(ChangeKind, kind), ref) for number, kind, ref in connection.execute(statement)]


def last_erasure(connection: Connection) -> int:
    """The number of the last change that erased something, in the caller's transaction; 0 if nothing was erased."""
    statement = select(func.coalesce(func.max(CHANGES.c.revision), 0)).where(CHANGES.c.kind == "erased")
    return connection.execute(statement).scalar_one()


def append_changes(connection: Connection, kind: ChangeKind, references: list[int]) -> None:
    """Add one change for each reference, in the caller's write transaction."""
    if references:
        connection.execute(insert(CHANGES), [{"kind": kind, "reference": reference} for reference in references])
