"""The statements that erase, each inside a write transaction of the caller."""

from sqlalchemy import Connection, delete, select, update

from twindex.storage.changes import append_changes
from twindex.storage.chunks import id_chunks
from twindex.storage.schema import JOB_ITEMS, REFERENCES, SAMPLES, SUBJECTS, TEMPLATES


def erase_references(connection: Connection, references: list[int]) -> int:
    """Erase references, their templates, and the samples that nobody else holds; log the changes.

    Returns:
        How many samples are gone.
    """
    samples: set[int] = set()
    for chunk in id_chunks(references):
        samples.update(connection.scalars(select(REFERENCES.c.sample_id).where(REFERENCES.c.id.in_(chunk))))
        connection.execute(delete(TEMPLATES).where(TEMPLATES.c.reference_id.in_(chunk)))
        connection.execute(delete(REFERENCES).where(REFERENCES.c.id.in_(chunk)))
    append_changes(connection, "erased", references)
    held = select(REFERENCES.c.sample_id)
    erased = 0
    for chunk in id_chunks(sorted(samples)):
        orphans = delete(SAMPLES).where(SAMPLES.c.id.in_(chunk), SAMPLES.c.id.not_in(held))
        erased += connection.execute(orphans).rowcount
    return erased


def erase_subject(connection: Connection, subject_id: int, name: str) -> tuple[tuple[int, ...], int]:
    """Erase a subject with everything that names or shows it.

    Returns:
        The ids of its references, and how many samples went with them.
    """
    references = list(
        connection.scalars(
            select(REFERENCES.c.id).where(REFERENCES.c.subject_id == subject_id).order_by(REFERENCES.c.id)
        )
    )
    blank_items(connection, name, references)
    samples = erase_references(connection, references)
    connection.execute(delete(SUBJECTS).where(SUBJECTS.c.id == subject_id))
    return tuple(references), samples


def blank_items(connection: Connection, name: str, references: list[int]) -> None:
    """Blank what job items say of a subject, and skip those still pending, which would enrol it again."""
    blank = {"path": None, "subject": None, "reason": None}
    by_name = JOB_ITEMS.c.subject == name
    pending = update(JOB_ITEMS).where(by_name, JOB_ITEMS.c.status == "pending")
    connection.execute(pending.values(status="skipped", **blank))
    connection.execute(update(JOB_ITEMS).where(by_name).values(**blank))
    for chunk in id_chunks(references):
        connection.execute(update(JOB_ITEMS).where(JOB_ITEMS.c.reference.in_(chunk)).values(**blank))
