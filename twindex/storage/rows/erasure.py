"""The statements that erase, each inside a write transaction of the caller."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, func, or_, select, update

from twindex.storage.rows.changes import append_changes
from twindex.storage.schema.tables import JOB_ITEMS, JOBS, REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.chunks import id_chunks
from twindex.storage.values.names import readable_text
from twindex.storage.values.receipts import ExpiredReference

_REQUEST = "$.request"  # where a job keeps the digest of what it was asked


@dataclass(frozen=True)
class Erased:
    """What has gone.

    Attributes:
        references: Ids.
        templates: Their vectors in stored form, of every model.
        samples: How many captured faces nobody else held.
        crops: The crops kept of those faces.
    """

    references: tuple[int, ...]
    templates: tuple[bytes, ...]
    samples: int
    crops: tuple[bytes, ...]


def erase_references(connection: Connection, references: list[int]) -> Erased:
    """Erase references, their templates, and the samples that nobody else holds; log the changes.

    A photo that somebody else holds goes by the path of whoever does: a path tells the name of the person in whose
    folder the photo lay when it was first enrolled.
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
        _name_anew(connection, {sample: first[sample] for sample in staying})
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
    """Erase the first `limit` references that have expired, and the subjects that are left with none.

    Returns:
        What has gone, the ids of the subjects whose references they were, and the names of the subjects that are gone.
    """
    rows = connection.execute(_expired(now).limit(limit)).all()
    references = [reference for reference, _, _, _ in rows]
    subjects = {subject_id: name for _, subject_id, name, _ in rows}
    blank_items_of(connection, references)
    erased = erase_references(connection, references)
    gone = []
    for subject_id, name in subjects.items():
        if connection.scalar(select(REFERENCES.c.id).where(REFERENCES.c.subject_id == subject_id).limit(1)) is None:
            # Items still pending stay: they enrol the person anew, under their own terms.
            settled = update(JOB_ITEMS).where(JOB_ITEMS.c.subject == name, JOB_ITEMS.c.status != "pending")
            connection.execute(settled.values(**_BLANK))
            connection.execute(delete(SUBJECTS).where(SUBJECTS.c.id == subject_id))
            gone.append(name)
    return erased, tuple(subjects), tuple(gone)


def select_expired(connection: Connection, now: datetime) -> list[ExpiredReference]:
    """The references that have expired, ascending by id."""
    rows = connection.execute(_expired(now)).all()
    return [ExpiredReference(number, name, expires) for number, _, name, expires in rows if expires is not None]


def blank_items(connection: Connection, name: str, references: list[int]) -> None:
    """Blank what job items say of a subject, and skip those still pending, which would enrol it again."""
    by_name = JOB_ITEMS.c.subject == name
    pending = update(JOB_ITEMS).where(by_name, JOB_ITEMS.c.status == "pending")
    connection.execute(pending.values(status="skipped", **_BLANK))
    connection.execute(update(JOB_ITEMS).where(by_name).values(**_BLANK))
    blank_items_of(connection, references)


def blank_pending(connection: Connection, items: list[int]) -> None:
    """Skip job items that are still to be done, and blank them."""
    for chunk in id_chunks(items):
        pending = update(JOB_ITEMS).where(JOB_ITEMS.c.id.in_(chunk), JOB_ITEMS.c.status == "pending")
        connection.execute(pending.values(status="skipped", **_BLANK))


def forget_requests(connection: Connection) -> None:
    """Forget what jobs without anything left to do were asked: by its digest a guess at a name could be confirmed."""
    pending = select(JOB_ITEMS.c.id).where(JOB_ITEMS.c.job_id == JOBS.c.id, JOB_ITEMS.c.status == "pending")
    over = or_(JOBS.c.state.in_(("finished", "failed")), ~pending.exists())
    asked = func.json_extract(JOBS.c.parameters, _REQUEST).is_not(None)
    forgotten = update(JOBS).where(over, asked)
    connection.execute(forgotten.values(parameters=func.json_remove(JOBS.c.parameters, _REQUEST)))


def blank_items_of(connection: Connection, references: list[int]) -> None:
    """Blank the job items that have enrolled these references."""
    for chunk in id_chunks(references):
        connection.execute(update(JOB_ITEMS).where(JOB_ITEMS.c.reference.in_(chunk)).values(**_BLANK))


def _name_anew(connection: Connection, erased: dict[int, int]) -> None:
    """Name photos whose first reference, of those erased, was older than those that stay, as the oldest of these does.

    Args:
        connection: Inside the transaction that has erased the references.
        erased: For each sample that stays, its first reference that is gone.
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
