"""Statements on templates, each inside a transaction of the caller."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, exists, func, insert, or_, select

from twindex.storage.chunks import id_chunks
from twindex.storage.column_types import UtcTime
from twindex.storage.records import KeptCrop, OwnedTemplates
from twindex.storage.schema import REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.template_format import checked_crop, stacked_vectors, template_sha256
from twindex.types import Float32, Int64

_IDS_AT_ONCE = 100_000
_StoredTemplates = Select[int, bytes, bytes]


# Made once: an expanding parameter costs less than a list of literals at each search.
_THESE: BindParameter[Sequence[int]] = bindparam("ids", expanding=True)
_OF_REFERENCES: _StoredTemplates = (
    select(TEMPLATES.c.reference_id, TEMPLATES.c.vector, TEMPLATES.c.sha256)
    .where(TEMPLATES.c.fingerprint == bindparam("fingerprint"), TEMPLATES.c.reference_id.in_(_THESE))
    .order_by(TEMPLATES.c.reference_id)
)
# An expired reference leaves the answers here, where its row is read anyway, and needs no change of the index.
_LIVE = or_(REFERENCES.c.expires.is_(None), REFERENCES.c.expires > bindparam("now", type_=UtcTime))
_NAMED = select(REFERENCES.c.id, SUBJECTS.c.name).join(SUBJECTS, SUBJECTS.c.id == REFERENCES.c.subject_id).where(_LIVE)
_OWNER = _NAMED.where(REFERENCES.c.id.in_(_THESE))
_FAMILY = _NAMED.where(REFERENCES.c.subject_id.in_(select(REFERENCES.c.subject_id).where(REFERENCES.c.id.in_(_THESE))))


def select_vectors(connection: Connection, fingerprint: str, references: Sequence[int]) -> tuple[Int64, Float32]:
    """The templates of those `references` that have one of this model, ascending by id, hashes checked."""
    rows: list[tuple[int, bytes, bytes]] = []
    for chunk in id_chunks(references):
        rows.extend(connection.execute(_OF_REFERENCES, {"fingerprint": fingerprint, "ids": chunk}).all())
    return _matrix(fingerprint, rows)


def select_owners(connection: Connection, references: Sequence[int], *, whole_subjects: bool = False) -> dict[int, str]:
    """The subject's name of each of those `references`, or of all references of their subjects, but for the expired."""
    now = datetime.now(UTC)
    owners: dict[int, str] = {}
    for chunk in id_chunks(references):
        owners.update(connection.execute(_FAMILY if whole_subjects else _OWNER, {"ids": chunk, "now": now}).all())
    return owners


def select_owned(
    connection: Connection, fingerprint: str, references: Sequence[int], *, whole_subjects: bool = False
) -> OwnedTemplates:
    """The templates of those `references`, or of their whole subjects, with the subjects' names, hashes checked."""
    owners = select_owners(connection, references, whole_subjects=whole_subjects)
    # Joined to the templates in one statement, SQLite would go through all templates of the model.
    ids, vectors = select_vectors(connection, fingerprint, list(owners))
    return OwnedTemplates(ids, vectors, tuple(owners[reference] for reference in ids.tolist()))


def select_page(connection: Connection, fingerprint: str, after: int, limit: int) -> tuple[Int64, Float32]:
    """The first `limit` templates of this model with a reference id above `after`, hashes checked."""
    statement = _stored(fingerprint).where(TEMPLATES.c.reference_id > after).limit(limit)
    rows = [(reference, vector, sha256) for reference, vector, sha256 in connection.execute(statement)]
    return _matrix(fingerprint, rows)


def select_ids(connection: Connection, fingerprint: str) -> Int64:
    """The references that have a template of this model, ascending."""
    statement = (
        select(TEMPLATES.c.reference_id)
        .where(TEMPLATES.c.fingerprint == fingerprint)
        .order_by(TEMPLATES.c.reference_id)
    )
    pages = connection.scalars(statement, execution_options={"yield_per": _IDS_AT_ONCE}).partitions()
    return np.concatenate([np.empty(0, np.int64), *(np.array(page, np.int64) for page in pages)])


def count_templates(connection: Connection, fingerprint: str) -> int:
    """How many references have a template of this model."""
    statement = select(func.count()).select_from(TEMPLATES).where(TEMPLATES.c.fingerprint == fingerprint)
    return connection.execute(statement).scalar_one()


def select_missing(connection: Connection, fingerprint: str, after: int, limit: int) -> list[KeptCrop]:
    """References above `after` without a template of this model, with their crops, hashes checked."""
    has_template = exists().where(TEMPLATES.c.reference_id == REFERENCES.c.id, TEMPLATES.c.fingerprint == fingerprint)
    statement = (
        select(REFERENCES.c.id, SAMPLES.c.crop, SAMPLES.c.crop_sha256)
        .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
        .where(REFERENCES.c.id > after, ~has_template)
        .order_by(REFERENCES.c.id)
        .limit(limit)
    )
    return [KeptCrop(ref, checked_crop(ref, crop, sha)) for ref, crop, sha in connection.execute(statement)]


def has_template(connection: Connection, fingerprint: str, reference: int) -> bool:
    """Whether the reference has a template of this model."""
    statement = select(TEMPLATES.c.id).where(
        TEMPLATES.c.fingerprint == fingerprint, TEMPLATES.c.reference_id == reference
    )
    return connection.execute(statement).first() is not None


def without_template(connection: Connection, fingerprint: str, references: Sequence[int]) -> set[int]:
    """Those `references` that still exist and have no template of this model."""
    found: set[int] = set()
    for chunk in id_chunks(references):
        found.update(connection.scalars(select(REFERENCES.c.id).where(REFERENCES.c.id.in_(chunk))))
        present = select(TEMPLATES.c.reference_id).where(
            TEMPLATES.c.fingerprint == fingerprint, TEMPLATES.c.reference_id.in_(chunk)
        )
        found.difference_update(connection.scalars(present))
    return found


def refuse_other_length(connection: Connection, fingerprint: str, lengths: set[int]) -> None:
    """Refuse templates whose length differs from those that the model has made so far.

    Args:
        connection: In the write transaction that will add them.
        fingerprint: The model.
        lengths: Lengths in bytes of the new templates.

    Raises:
        ValueError: If there is more than one length.
    """
    statement = select(func.length(TEMPLATES.c.vector)).where(TEMPLATES.c.fingerprint == fingerprint).limit(1)
    known = lengths | set(connection.scalars(statement))
    if len(known) > 1:
        dims = sorted(length // 4 for length in known)
        raise ValueError(f"Expected one number of dimensions for model {fingerprint}, got {dims}; check the embedder.")


def insert_templates(connection: Connection, fingerprint: str, stored: Sequence[tuple[int, bytes]]) -> None:
    """Add templates that are known to be missing: reference id and vector bytes of each."""
    rows = [
        {
            "reference_id": reference,
            "fingerprint": fingerprint,
            "sha256": template_sha256(reference, fingerprint, vector),
            "vector": vector,
        }
        for reference, vector in stored
    ]
    if rows:
        connection.execute(insert(TEMPLATES), rows)


def delete_templates(connection: Connection, fingerprint: str) -> int:
    """Remove every template of this model; returns how many there were."""
    return connection.execute(delete(TEMPLATES).where(TEMPLATES.c.fingerprint == fingerprint)).rowcount


def delete_template(connection: Connection, fingerprint: str, reference: int) -> bool:
    """Remove one template; returns whether there was one."""
    statement = delete(TEMPLATES).where(TEMPLATES.c.fingerprint == fingerprint, TEMPLATES.c.reference_id == reference)
    return connection.execute(statement).rowcount == 1


def _stored(fingerprint: str) -> _StoredTemplates:
    return (
        select(TEMPLATES.c.reference_id, TEMPLATES.c.vector, TEMPLATES.c.sha256)
        .where(TEMPLATES.c.fingerprint == fingerprint)
        .order_by(TEMPLATES.c.reference_id)
    )


def _matrix(fingerprint: str, rows: list[tuple[int, bytes, bytes]]) -> tuple[Int64, Float32]:
    return np.array([reference for reference, _, _ in rows], dtype=np.int64), stacked_vectors(fingerprint, rows)
