"""The statements that erase, each inside a write transaction of the caller."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, func, or_, select, update

from twindex.storage.rows.changes import append_changes
from twindex.storage.schema.tables import JOB_ITEMS, JOBS, REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.chunks import id_chunks
from twindex.storage.values.names import readable_text
from twindex.storage.values.receipts import ExpiredReference

_REQUEST = "$.request"  # where a job stores the digest of its request


@dataclass(frozen=True)
class Erased:
    """What was erased.

    Attributes:
        references: The ids of the references.
        templates: Their vectors of every model, in stored form.
        samples: How many captured faces were erased, because nobody else held them.
        crops: The kept crops of those faces.
    """

    references: tuple[int, ...]
    templates: tuple[bytes, ...]
    samples: int
    crops: tuple[bytes, ...]


def erase_references(connection: Connection, references: list[int]) -> Erased:
    """Erase references, their templates, and the samples that nobody else holds; log the changes.

    If another subject holds the same photo, the photo gets the path under which that subject was enrolled, because the
    old path may contain the erased person's name.
    """
    first: dict[int, int] = {}
    templates: list[bytes] = []
    for chunk in id_chunks(references):
        rows = select(REFERENCES.c.sample_id, REFERENCES.c.id).where(REFERENCES.c.id.in_(chunk))
        for sample, reference in connection.execute(rows.order_by(REFERENCES.c.id)):
            first.setdefault(sample, reference)
        theirs = TEMPLATES.c.reference_id.in_(chunk)
        templates.extend(connection.scalars(select(TEMPLATES.c.vector).where(theirs)))
        connection.execute(delete(TEMPLATES).where(theirs))
        connection.execute(delete(REFERENCES).where(REFERENCES.c.id.in_(chunk)))
    append_changes(connection, "erased", references)
    held = select(REFERENCES.c.sample_id)
    crops: list[bytes] = []
    erased = 0
    for chunk in id_chunks(list(first)):
        orphans = (SAMPLES.c.id.in_(chunk), SAMPLES.c.id.not_in(held))
        crops.extend(crop for crop in connection.scalars(select(SAMPLES.c.crop).where(*orphans)) if crop is not None)
        erased += connection.execute(delete(SAMPLES).where(*orphans)).rowcount
        staying = connection.scalars(select(SAMPLES.c.id).where(SAMPLES.c.id.in_(chunk)))
        _rename_photos(connection, {sample: first[sample] for sample in staying})
    return Erased(tuple(references), tuple(templates), erased, tuple(crops))


def erase_subject(connection: Connection, subject_id: int, name: str) -> Erased:
    """Erase a subject with everything that names or shows it."""
    references = list(
        connection.scalars(
            select(REFERENCES.c.id).where(REFERENCES.c.subject_id == subject_id).order_by(REFERENCES.c.id)
        )
    )
    blank_items(connection, name, references)
    erased = erase_references(connection, references)
    connection.execute(delete(SUBJECTS).where(SUBJECTS.c.id == subject_id))
    forget_requests(connection)
    return erased


def erase_expired(connection: Connection, now: datetime, limit: int) -> tuple[Erased, tuple[int, ...], tuple[str, ...]]:
    """Erase the first `limit` expired references, and subjects that are left without a reference.

    Returns:
        What was erased, the ids of the subjects concerned, and the names of the subjects that were erased entirely.
    """
    rows = connection.execute(_expired(now).limit(limit)).all()
    references = [reference for reference, _, _, _ in rows]
    subjects = {subject_id: name for _, subject_id, name, _ in rows}
    blank_items_of(connection, references)
    erased = erase_references(connection, references)
    gone = []
    for subject_id, name in subjects.items():
        if connection.scalar(select(REFERENCES.c.id).where(REFERENCES.c.subject_id == subject_id).limit(1)) is None:
            # Pending items stay: they will enrol the person again, under their own terms.
            settled = update(JOB_ITEMS).where(JOB_ITEMS.c.subject == name, JOB_ITEMS.c.status != "pending")
            connection.execute(settled.values(**_BLANK))
            connection.execute(delete(SUBJECTS).where(SUBJECTS.c.id == subject_id))
            gone.append(name)
    return erased, tuple(subjects), tuple(gone)


def select_expired(connection: Connection, now: datetime) -> list[ExpiredReference]:
    """The expired references, ascending by id."""
    rows = connection.execute(_expired(now)).all()
    return [ExpiredReference(number, name, expires) for number, _, name, expires in rows if expires is not None]


def blank_items(connection: Connection, name: str, references: list[int]) -> None:
    """Blank the job items of a subject, and skip pending ones, which would enrol the subject again."""
    by_name = JOB_ITEMS.c.subject == name
    pending = update(JOB_ITEMS).where(by_name, JOB_ITEMS.c.status == "pending")
    connection.execute(pending.values(status="skipped", **_BLANK))
    connection.execute(update(JOB_ITEMS).where(by_name).values(**_BLANK))
    blank_items_of(connection, references)


def blank_pending(connection: Connection, items: list[int]) -> None:
    """Skip pending job items, and blank them."""
    for chunk in id_chunks(items):
        pending = update(JOB_ITEMS).where(JOB_ITEMS.c.id.in_(chunk), JOB_ITEMS.c.status == "pending")
        connection.execute(pending.values(status="skipped", **_BLANK))


def forget_requests(connection: Connection) -> None:
    """Forget the requests of jobs without pending items, because their digests could confirm a guessed name."""
    pending = select(JOB_ITEMS.c.id).where(JOB_ITEMS.c.job_id == JOBS.c.id, JOB_ITEMS.c.status == "pending")
    over = or_(JOBS.c.state.in_(("finished", "failed")), ~pending.exists())
    asked = func.json_extract(JOBS.c.parameters, _REQUEST).is_not(None)
    forgotten = update(JOBS).where(over, asked)
    connection.execute(forgotten.values(parameters=func.json_remove(JOBS.c.parameters, _REQUEST)))


def blank_items_of(connection: Connection, references: list[int]) -> None:
    """Blank the job items that enrolled these references."""
    for chunk in id_chunks(references):
        connection.execute(update(JOB_ITEMS).where(JOB_ITEMS.c.reference.in_(chunk)).values(**_BLANK))


def _rename_photos(connection: Connection, erased: dict[int, int]) -> None:
    """Rename photos that were named by an erased reference, after the oldest reference that stays.

    Args:
        connection: Inside the transaction that erased the references.
        erased: For each sample that stays, its oldest erased reference.
    """
    if not erased:
        return
    chosen = select(REFERENCES.c.sample_id, func.min(REFERENCES.c.id)).where(REFERENCES.c.sample_id.in_(list(erased)))
    heirs = {
        reference: sample
        for sample, reference in connection.execute(chosen.group_by(REFERENCES.c.sample_id))
        if erased[sample] < reference
    }
    items = select(JOB_ITEMS.c.reference, JOB_ITEMS.c.path).where(JOB_ITEMS.c.reference.in_(list(heirs)))
    paths: dict[int | None, str] = {}
    for reference, path in connection.execute(items.order_by(JOB_ITEMS.c.id)):
        if path is not None:
            paths.setdefault(reference, readable_text(path))
    for reference, sample in heirs.items():
        renamed = update(SAMPLES).where(SAMPLES.c.id == sample)
        connection.execute(renamed.values(source_name=paths.get(reference, "")))


_BLANK = {"path": None, "subject": None, "reason": None, "consent": None, "expires": None}


def _expired(now: datetime) -> Select[int, int, str, datetime | None]:
    return (
        select(REFERENCES.c.id, REFERENCES.c.subject_id, SUBJECTS.c.name, REFERENCES.c.expires)
        .join(SUBJECTS, SUBJECTS.c.id == REFERENCES.c.subject_id)
        .where(REFERENCES.c.expires <= now)
        .order_by(REFERENCES.c.id)
    )
