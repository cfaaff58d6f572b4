"""Moving references and job items from one subject to another, in a write transaction of the caller."""

from sqlalchemy import Connection, select, update

from twindex.storage.rows.changes import append_changes
from twindex.storage.rows.erasure import blank_items, erase_references
from twindex.storage.rows.templates import has_template, insert_templates
from twindex.storage.schema.tables import JOB_ITEMS, REFERENCES, TEMPLATES


def hand_over_references(connection: Connection, source_id: int, target_id: int) -> int:
    """Move the source's references to the target; if both hold the same sample, erase the source's reference.

    The kept reference takes over the templates and terms of the erased double: the earlier expiry, and the double's
    consent if it has none itself.

    Returns:
        How many references moved.
    """
    mine, theirs = REFERENCES.alias(), REFERENCES.alias()
    doubles = connection.execute(
        select(mine.c.id, theirs.c.id)
        .join(theirs, theirs.c.sample_id == mine.c.sample_id)
        .where(mine.c.subject_id == source_id, theirs.c.subject_id == target_id)
        .order_by(mine.c.id)
    ).all()
    for double, kept in doubles:
        _hand_over_templates(connection, double, kept)
        _hand_over_terms(connection, double, kept)
    erase_references(connection, [double for double, _ in doubles])
    moved = update(REFERENCES).where(REFERENCES.c.subject_id == source_id).values(subject_id=target_id)
    return connection.execute(moved).rowcount


def hand_over_items(connection: Connection, source: str, target: str) -> None:
    """Let the source's job items name the target; items that the target has as well are blanked."""
    renamed = update(JOB_ITEMS).prefix_with("OR IGNORE").where(JOB_ITEMS.c.subject == source)
    connection.execute(renamed.values(subject=target))
    blank_items(connection, source, [])


def _hand_over_terms(connection: Connection, double: int, kept: int) -> None:
    columns = select(REFERENCES.c.consent, REFERENCES.c.expires)
    theirs = connection.execute(columns.where(REFERENCES.c.id == double)).one()
    mine = connection.execute(columns.where(REFERENCES.c.id == kept)).one()
    consent = theirs.consent if mine.consent is None else mine.consent
    expires = min((time for time in (mine.expires, theirs.expires) if time is not None), default=None)
    connection.execute(update(REFERENCES).where(REFERENCES.c.id == kept).values(consent=consent, expires=expires))


def _hand_over_templates(connection: Connection, double: int, kept: int) -> None:
    """Give the kept reference the templates that only its double has; both have the same sample, so they fit."""
    rows = connection.execute(
        select(TEMPLATES.c.fingerprint, TEMPLATES.c.vector).where(TEMPLATES.c.reference_id == double)
    ).all()
    for fingerprint, vector in rows:
        if not has_template(connection, fingerprint, kept):
            insert_templates(connection, fingerprint, [(kept, vector)])
            append_changes(connection, "enrolled", [kept])
