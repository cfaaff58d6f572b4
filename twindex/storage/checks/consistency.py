"""Whether the tables agree with each other, which neither SQLite's own checks nor the hashes of rows can show."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, select

from twindex.errors import TwindexError
from twindex.storage.checks.value_checks import unreadable_values
from twindex.storage.rows.changes import append_changes
from twindex.storage.schema.expected import schema_differences, type_differences
from twindex.storage.schema.tables import REFERENCES, SAMPLES, TEMPLATES
from twindex.storage.sqlite.database import Database

Code = Literal["schema", "value", "orphaned_sample", "template_length", "change_log", "id_reuse"]

_COUNTED = {
    "subjects": "SELECT max(id) FROM subjects",
    "samples": "SELECT max(id) FROM samples",
    "references": 'SELECT max(id) FROM (SELECT id FROM "references" UNION ALL SELECT reference FROM changes)',
    "changes": "SELECT max(revision) FROM changes",
    "generations": "SELECT max(id) FROM generations",
}
# In a grouped statement with max(), SQLite takes the other columns from the row that has the maximum.
_UNLOGGED = """SELECT enrolled.id FROM "references" AS enrolled LEFT JOIN
    (SELECT reference, kind, max(revision) FROM changes GROUP BY reference) AS latest
    ON latest.reference = enrolled.id WHERE latest.kind IS NOT 'enrolled'"""


@dataclass(frozen=True)
class Inconsistency:
    """Rows that contradict each other, or that no gallery should hold.

    Attributes:
        code: Which rule is broken.
        text: One sentence for people.
    """

    code: Code
    text: str


def inconsistencies(database: Database) -> list[Inconsistency]:
    """Every inconsistency; an empty list if the tables agree.

    Rows are compared only if all tables and types are as expected, because the code that reads them relies on it.
    """
    found = _carried_out("schema", schema_differences, database)
    found = found or _carried_out("value", type_differences, database)
    found = found or _carried_out("value", unreadable_values, database)
    if found:
        return found
    checks: list[tuple[Code, Callable[[Database], list[str]]]] = [
        ("orphaned_sample", _orphans),
        ("template_length", _lengths),
        ("change_log", _unlogged),
        ("id_reuse", _low_counters),
    ]
    return [finding for code, check in checks for finding in _carried_out(code, check, database)]


def erase_orphans(database: Database) -> int:
    """Remove captured faces without a reference; returns how many there were."""
    with database.write() as connection:
        held = select(REFERENCES.c.sample_id)
        return connection.execute(delete(SAMPLES).where(SAMPLES.c.id.not_in(held))).rowcount


def log_enrolments(database: Database) -> None:
    """Log the enrolments that are missing from the log, so that every index picks them up."""
    with database.write() as connection:
        append_changes(connection, "enrolled", list(connection.exec_driver_sql(_UNLOGGED).scalars()))


def raise_counters(database: Database) -> None:
    """Raise every counter of ids above all ids ever given, so that none is given twice."""
    with database.write() as connection:
        for table, _, used in _behind(connection):
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, used))


def _behind(connection: Connection) -> list[tuple[str, int, int]]:
    """The counters below an id that was already given: the table, the counter, and the highest id given."""
    rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
    counters = {str(table): int(last) for table, last in rows}
    given = {table: connection.exec_driver_sql(highest).scalar_one() for table, highest in _COUNTED.items()}
    return [
        (table, counters.get(table, 0), used)
        for table, used in given.items()
        if used is not None and counters.get(table, 0) < used
    ]


def _carried_out(code: Code, check: Callable[[Database], list[str]], database: Database) -> list[Inconsistency]:
    """Run a check; if it cannot be carried out, that is itself a finding."""
    try:
        return [Inconsistency(code, text) for text in check(database)]
    except TwindexError as error:
        return [Inconsistency(code, str(error))]


def _orphans(database: Database) -> list[str]:
    held = select(REFERENCES.c.sample_id)
    with database.read() as connection:
        count = connection.execute(
            select(func.count()).select_from(SAMPLES).where(SAMPLES.c.id.not_in(held))
        ).scalar_one()
    return [f"{count} captured faces belong to no reference, so no erasure would reach them."] if count else []


def _lengths(database: Database) -> list[str]:
    length = func.length(TEMPLATES.c.vector)
    statement = select(TEMPLATES.c.fingerprint, func.min(length), func.max(length)).group_by(TEMPLATES.c.fingerprint)
    with database.read() as connection:
        rows = connection.execute(statement).all()
    return [
        f"Templates of model {fingerprint} have different lengths, {shortest} to {longest} bytes."
        for fingerprint, shortest, longest in rows
        if shortest != longest
    ]


def _unlogged(database: Database) -> list[str]:
    with database.read() as connection:
        count = len(connection.exec_driver_sql(_UNLOGGED).scalars().all())
    text = f"The log of changes does not list {count} references as enrolled, so an index may miss them."
    return [text] if count else []


def _low_counters(database: Database) -> list[str]:
    with database.read() as connection:
        behind = _behind(connection)
    return [f"The id counter of {table} is at {last}, but id {used} was already given." for table, last, used in behind]
