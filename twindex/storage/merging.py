"""Handing what one subject holds to another, inside a write transaction of the caller."""

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import aliased

from twindex.storage.changes import append_changes
from twindex.storage.erasure import blank_items, erase_references
from twindex.storage.schema import JobItemRow, ReferenceRow, TemplateRow
from twindex.storage.templates import has_template, insert_templates


def hand_over_references(connection: Connection, source_id: int, target_id: int) -> int:
    """Move the source's references to the target; where both hold one sample, erase the source's.

    Returns:
        How many references moved.
    """
    mine, theirs = aliased(ReferenceRow), aliased(ReferenceRow)
    doubles = connection.execute(
        select(mine.id, theirs.id)
        .join(theirs, theirs.sample_id == mine.sample_id)
        .where(mine.subject_id == source_id, theirs.subject_id == target_id)
        .order_by(mine.id)
    ).all()
    for double, kept in doubles:
        _hand_over_templates(connection, double, kept)
    erase_references(connection, [double for double, _ in doubles])
    moved = update(ReferenceRow).where(ReferenceRow.subject_id == source_id).values(subject_id=target_id)
    return connection.execute(moved).rowcount


def hand_over_items(connection: Connection, source: str, target: str) -> None:
    """Let job items name the target; an item that the target has as well is blanked."""
    renamed = update(JobItemRow).prefix_with("OR IGNORE").where(JobItemRow.subject == source)
    connection.execute(renamed.values(subject=target))
    blank_items(connection, source, [])


def _hand_over_templates(connection: Connection, double: int, kept: int) -> None:
    """Give the kept reference the templates that only its double has; the sample, hence the vector, is the same."""
    rows = connection.execute(
        select(TemplateRow.fingerprint, TemplateRow.vector).where(TemplateRow.reference_id == double)
    ).all()
    for fingerprint, vector in rows:
        if not has_template(connection, fingerprint, kept):
            insert_templates(connection, fingerprint, [(kept, vector)])
            append_changes(connection, "enrolled", [kept])
