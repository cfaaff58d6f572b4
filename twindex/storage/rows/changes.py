"""The log of enrolments and erasures, which an index replays to catch up."""

from typing import cast

from sqlalchemy import Connection, insert, select

from twindex.storage.schema.tables import CHANGES
from twindex.storage.sqlite.database import Database
from twindex.storage.values.records import Change, ChangeKind

# Plain SQL, because every search runs it: see `templates.py`.
_REVISION = "SELECT coalesce(max(revision), 0) FROM changes"


class Changes:
    """Reads the log.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """The number of the last change; 0 for a new gallery."""
        with self._database.read() as connection:
            return int(connection.exec_driver_sql(_REVISION).scalar_one())

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`, oldest first."""
        statement = (
            select(CHANGES.c.revision, CHANGES.c.kind, CHANGES.c.reference)
            .where(CHANGES.c.revision > revision)
            .order_by(CHANGES.c.revision)
        )
        with self._database.read() as connection:
            return [
                Change(number, cast(ChangeKind, kind), reference)
                for number, kind, reference in connection.execute(statement)
            ]


def erased_since(connection: Connection, revision: int) -> bool:
    """Whether anything was erased after `revision`, in the caller's transaction; reads only later changes."""
    erasures = select(CHANGES.c.revision).where(CHANGES.c.revision > revision, CHANGES.c.kind == "erased")
    return connection.execute(erasures.limit(1)).first() is not None


def append_changes(connection: Connection, kind: ChangeKind, references: list[int]) -> None:
    """Add one change for each reference, in the caller's write transaction."""
    if references:
        connection.execute(insert(CHANGES), [{"kind": kind, "reference": reference} for reference in references])
