"""Whether every structured value can be read: times, faces, the threshold, the names of snapshots.

Twindex writes only readable values, but a database that was tampered with, or comes from a stranger, may hold anything.
"""

from collections.abc import Callable, Iterable
from math import isfinite

from sqlalchemy import select

from twindex.errors import IntegrityError, UsageError
from twindex.storage.rows.generations import Generations
from twindex.storage.rows.jobs import Jobs
from twindex.storage.schema.tables import AUDIT, GALLERY, JOB_ITEMS, REFERENCES, SAMPLES, SUBJECTS
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.pages import pages
from twindex.storage.values.face_json import face_from_json
from twindex.storage.values.names import subject_name

_PAGE = 1000
_UNREADABLE = (UsageError, IntegrityError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


def unreadable_values(database: Database) -> list[str]:
    """One sentence for each table with a value that cannot be read."""
    checks: dict[str, Callable[[Database], None]] = {
        "gallery": _gallery,
        "subjects": _subjects,
        "samples": _samples,
        "references": _references,
        "generations": _generations,
        "jobs": _jobs,
        "job_items": _job_items,
        "audit": _audit,
    }
    found = []
    for table, check in checks.items():
        try:
            check(database)
        except _UNREADABLE as error:
            found.append(f"A value in {table!r} cannot be read: {error}")
    return found


def _read_all(values: Iterable[object]) -> None:
    """Read every value; SQLAlchemy raises if one does not fit its column's type."""
    for _ in values:
        pass


def _gallery(database: Database) -> None:
    with database.read() as connection:
        row = connection.execute(select(GALLERY.c.created, GALLERY.c.threshold)).one_or_none()
    if row is None:
        raise ValueError("expected one row, got none")
    if row.threshold is None:
        return
    numbers = [row.threshold[name] for name in ("probability", "target_fpir", "gallery_size")]
    if not all(isinstance(number, int | float) and isfinite(number) for number in numbers):
        raise ValueError(f"expected the threshold's numbers to be finite, got {numbers}")
    texts = [row.threshold[name] for name in ("fingerprint", "method")]
    report = row.threshold["report"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(report.get("subjects", 0), int):
        raise ValueError("expected the threshold's model and method to be texts, and its number of subjects a number")


def _subjects(database: Database) -> None:
    with database.read() as connection:
        for name, details, _ in connection.execute(select(SUBJECTS.c.name, SUBJECTS.c.details, SUBJECTS.c.created)):
            if subject_name(name) != name or not isinstance(details, dict):
                raise ValueError(f"the subject {name!r} is not stored as Twindex stores it")


def _samples(database: Database) -> None:
    for rows in pages(database, select(SAMPLES.c.id, SAMPLES.c.face), _PAGE):
        for _, face in rows:
            if face is not None:
                face_from_json(face)


def _references(database: Database) -> None:
    _read_all(pages(database, select(REFERENCES.c.id, REFERENCES.c.enrolled, REFERENCES.c.expires), _PAGE))


def _jobs(database: Database) -> None:
    _read_all(Jobs(database).list())


def _job_items(database: Database) -> None:
    _read_all(pages(database, select(JOB_ITEMS.c.id, JOB_ITEMS.c.path, JOB_ITEMS.c.expires), _PAGE))


def _audit(database: Database) -> None:
    columns = (AUDIT.c.id, AUDIT.c.time, AUDIT.c.subjects, AUDIT.c.details)
    for rows in pages(database, select(*columns), _PAGE):
        for number, _, subjects, details in rows:
            if not isinstance(details, dict) or not isinstance(subjects, list):
                raise ValueError(f"row {number} does not describe an act as Twindex does: what was done, and to whom")


def _generations(database: Database) -> None:
    for generation in Generations(database).list():
        file = None if generation.snapshot is None else generation.snapshot.file
        if file is not None and not is_plain_name(file):
            raise ValueError(f"the snapshot of generation {generation.id} is not named by a plain file name: {file!r}")


def is_plain_name(text: str) -> bool:
    """Whether this is the name of a file in a folder and cannot lead out of the folder."""
    return text not in ("", ".", "..") and not set(text) & set("/\\:\0")
