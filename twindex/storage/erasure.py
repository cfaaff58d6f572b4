"""The statements that erase, each inside a write transaction of the caller."""

from sqlalchemy import Connection, delete, select, update

from twindex.storage.changes import append_changes
from twindex.storage.chunks import id_chunks
from twindex.storage.schema import JobItemRow, ReferenceRow, SampleRow, SubjectRow, TemplateRow


def erase_references(connection: Connection, references: list[int]) -> int:
    """Erase references, their templates, and the samples that nobody else holds; log the changes.

    Returns:
        How many samples are gone.
    """
    samples: set[int] = set()
    for chunk in id_chunks(references):
        samples.update(connection.scalars(select(ReferenceRow.sample_id).where(ReferenceRow.id.in_(chunk))))
        connection.execute(delete(TemplateRow).where(TemplateRow.reference_id.in_(chunk)))
        connection.execute(delete(ReferenceRow).where(ReferenceRow.id.in_(chunk)))
    append_changes(connection, "erased", references)
    held = select(ReferenceRow.sample_id)
    erased = 0
    for chunk in id_chunks(sorted(samples)):
        orphans = delete(SampleRow).where(SampleRow.id.in_(chunk), SampleRow.id.not_in(held))
        erased += connection.execute(orphans).rowcount
    return erased


def erase_subject(connection: Connection, subject_id: int, name: str) -> tuple[tuple[int, ...], int]:
    """Erase a subject with everything that names or shows it.

    Returns:
        The ids of its references, and how many samples went with them.
    """
    references = list(
        connection.scalars(
            select(ReferenceRow.id).where(ReferenceRow.subject_id == subject_id).order_by(ReferenceRow.id)
        )
    )
    blank_items(connection, name, references)
    samples = erase_references(connection, references)
    connection.execute(delete(SubjectRow).where(SubjectRow.id == subject_id))
    return tuple(references), samples


def blank_items(connection: Connection, name: str, references: list[int]) -> None:
    """Blank what job items say of a subject, and skip those still pending, which would enrol it again."""
    blank = {"path": None, "subject": None, "reason": None}
    by_name = JobItemRow.subject == name
    pending = update(JobItemRow).where(by_name, JobItemRow.status == "pending")
    connection.execute(pending.values(status="skipped", **blank))
    connection.execute(update(JobItemRow).where(by_name).values(**blank))
    for chunk in id_chunks(references):
        connection.execute(update(JobItemRow).where(JobItemRow.reference.in_(chunk)).values(**blank))
