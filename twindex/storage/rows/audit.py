"""The audit: who did what, and when. Rows are only ever added; they hold no vectors and name no enrolled person."""

import getpass
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from twindex.errors import UsageError
from twindex.storage.schema.tables import AUDIT
from twindex.storage.sqlite.database import Database
from twindex.storage.values.names import readable_text
from twindex.storage.values.receipts import AuditRow

ERASING = ("erase", "purge")
VERIFIED = "verify"
_OF, _RESULT = "$.erasure", "$.result"


class Audit:
    """Reads and extends the audit.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, action: str, details: Mapping[str, Any], subjects: Sequence[int] = ()) -> int:
        """Add one row in a transaction of its own; see `record`."""
        with self._database.write() as connection:
            return record(connection, action, details, subjects)

    def rows(self, last: int | None = None) -> list[AuditRow]:
        """The last rows, or all of them, oldest first."""
        statement = select(*_COLUMNS).order_by(AUDIT.c.id.desc()).limit(last)
        with self._database.read() as connection:
            return [AuditRow(*row) for row in connection.execute(statement)][::-1]

    def get(self, number: int) -> AuditRow:
        """One row.

        Raises:
            UsageError: If no row has this id.
        """
        with self._database.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(AUDIT.c.id == number)).first()
        if row is None:
            raise UsageError(f"No row {number} in the audit; see `twindex audit`.")
        return AuditRow(*row)

    def unverified(self) -> list[AuditRow]:
        """The erasures that no later row confirms as complete, oldest first."""
        verified = select(func.json_extract(AUDIT.c.details, _OF)).where(
            AUDIT.c.action == VERIFIED, func.json_extract(AUDIT.c.details, _RESULT) == "erased"
        )
        statement = select(*_COLUMNS).where(AUDIT.c.action.in_(ERASING), AUDIT.c.id.not_in(verified))
        with self._database.read() as connection:
            return [AuditRow(*row) for row in connection.execute(statement.order_by(AUDIT.c.id))]

    def places(self, erasure: int) -> set[str] | None:
        """Where the last check of an erasure found remnants, as in `Receipt.found_in`; None if it was never checked."""
        statement = (
            select(AUDIT.c.details)
            .where(AUDIT.c.action == VERIFIED, func.json_extract(AUDIT.c.details, _OF) == erasure)
            .order_by(AUDIT.c.id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            details = connection.scalar(statement)
        return None if details is None else set(details["found_in"])


_COLUMNS = (AUDIT.c.id, AUDIT.c.time, AUDIT.c.actor, AUDIT.c.action, AUDIT.c.subjects, AUDIT.c.details)


def record(connection: Connection, action: str, details: Mapping[str, Any], subjects: Sequence[int] = ()) -> int:
    """Add a row in the caller's write transaction, so that the act and its row commit together; returns its id.

    Args:
        connection: In a write transaction.
        action: What was done, in one word.
        details: Counts, ids and settings, JSON values only. Nothing here may name or show a person, because the row
            stays when the person is erased.
        subjects: Ids of the subjects it concerns.
    """
    values = {
        "time": datetime.now(UTC),
        "actor": _operator(),
        "action": action,
        "subjects": sorted({int(subject) for subject in subjects}),
        "details": dict(details),
    }
    return connection.execute(insert(AUDIT).values(values).returning(AUDIT.c.id)).scalar_one()


def rows_about(connection: Connection, subject_id: int) -> list[AuditRow]:
    """The rows about a subject and about all subjects merged into it, oldest first."""
    merges = [
        (row.subjects, row.details["into"])
        for row in connection.execute(
            select(AUDIT.c.subjects, AUDIT.c.details).where(AUDIT.c.action == "merge").order_by(AUDIT.c.id.desc())
        )
    ]
    ids = {subject_id}
    # Latest merge first, so that a subject is known before the subjects that were merged into it earlier.
    for subjects, into in merges:
        if into in ids:
            ids.update(subjects)
    member = func.json_each(AUDIT.c.subjects).table_valued("value")
    about = select(AUDIT.c.id).join(member, member.c.value.in_(ids)).distinct()
    rows = connection.execute(select(*_COLUMNS).where(AUDIT.c.id.in_(about)).order_by(AUDIT.c.id))
    return [AuditRow(*row) for row in rows]


def _operator() -> str:
    """The operating-system user who runs this process."""
    try:
        # Use the process's user id if the system has one, because environment variables can be set to anything.
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    except ImportError:
        name = getpass.getuser()
    except KeyError:
        # In a container the user id may have no name.
        name = f"uid {os.getuid()}"
    return readable_text(name)
