"""Statements on templates, each inside a transaction of the caller.

Statements that every search runs are plain SQL. SQLAlchemy's expressions are built and compared with its cache at each
call, which takes longer than SQLite takes to answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, select

from twindex.storage.schema.column_types import utc_text
from twindex.storage.schema.tables import REFERENCES, SAMPLES, TEMPLATES
from twindex.storage.sqlite.chunks import id_chunks
from twindex.storage.values.records import KeptCrop
from twindex.storage.values.template_format import checked_crop, stacked_vectors, template_sha256

if TYPE_CHECKING:
    from twindex.types import Float32, Int64

_IDS_AT_ONCE = 100_000
_StoredTemplates = Select[int, bytes, bytes]

_THESE = "(SELECT value FROM json_each(?))"
# The plus sign keeps SQLite from using the index by fingerprint, which is six times as large and rarely in memory.
_OF_REFERENCES = f"""SELECT reference_id, vector, sha256 FROM templates
    WHERE +fingerprint = ? AND reference_id IN {_THESE} ORDER BY reference_id"""
# Expired references are left out here, where their rows are read anyway, so the index need not change.
_NAMED = """SELECT "references".id, subjects.name FROM "references"
    JOIN subjects ON subjects.id = "references".subject_id
    WHERE ("references".expires IS NULL OR "references".expires > ?)"""
_OWNERS = f'{_NAMED} AND "references".id IN {_THESE}'
_HAS_TEMPLATE = select(TEMPLATES.c.id).where(
    TEMPLATES.c.fingerprint == bindparam("model"), TEMPLATES.c.reference_id == bindparam("reference")
)
_OF_SAME_SUBJECTS = f'{_NAMED} AND subject_id IN (SELECT subject_id FROM "references" WHERE id IN {_THESE})'


def select_vectors(connection: Connection, fingerprint: str, references: Sequence[int]) -> tuple[Int64, Float32]:
    """The templates of `references` under this model, ascending by id, hashes checked; missing ones are left out."""
    found = connection.exec_driver_sql(_OF_REFERENCES, (fingerprint, _json(references))).all()
    return _matrix(fingerprint, [(reference, vector, sha256) for reference, vector, sha256 in found])


def select_owners(connection: Connection, references: Sequence[int], *, whole_subjects: bool = False) -> dict[int, str]:
    """The subject of each unexpired reference: of `references`, or of all references of their subjects."""
    statement = _OF_SAME_SUBJECTS if whole_subjects else _OWNERS
    rows = connection.exec_driver_sql(statement, (utc_text(datetime.now(UTC)), _json(references))).all()
    return {int(reference): str(name) for reference, name in rows}


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
    import numpy as np

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
    return [
        KeptCrop(reference, checked_crop(reference, crop, sha256))
        for reference, crop, sha256 in connection.execute(statement)
    ]


def every_reference_has(connection: Connection, fingerprint: str) -> bool:
    """Whether every reference has a template of this model. Counting is enough: no reference can have two."""
    references = connection.execute(select(func.count()).select_from(REFERENCES)).scalar_one()
    return references == count_templates(connection, fingerprint)


def has_template(connection: Connection, fingerprint: str, reference: int) -> bool:
    """Whether the reference has a template of this model."""
    return connection.execute(_HAS_TEMPLATE, {"model": fingerprint, "reference": reference}).first() is not None


def without_template(connection: Connection, fingerprint: str, references: Sequence[int]) -> set[int]:
    """The ids in `references` that still exist but have no template of this model."""
    found: set[int] = set()
    for chunk in id_chunks(references):
        found.update(connection.scalars(select(REFERENCES.c.id).where(REFERENCES.c.id.in_(chunk))))
        present = select(TEMPLATES.c.reference_id).where(
            TEMPLATES.c.fingerprint == fingerprint, TEMPLATES.c.reference_id.in_(chunk)
        )
        found.difference_update(connection.scalars(present))
    return found


def refuse_other_length(connection: Connection, fingerprint: str, lengths: set[int]) -> None:
    """Refuse templates whose length differs from the model's existing templates.

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
    """Add templates, given as reference ids and vector bytes, that are known to be missing."""
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


def _json(references: Sequence[int]) -> str:
    """Many ids as a single parameter, so that the statement is always the same."""
    return json.dumps(list(references), default=int)


def _stored(fingerprint: str) -> _StoredTemplates:
    return (
        select(TEMPLATES.c.reference_id, TEMPLATES.c.vector, TEMPLATES.c.sha256)
        .where(TEMPLATES.c.fingerprint == fingerprint)
        .order_by(TEMPLATES.c.reference_id)
    )


def _matrix(fingerprint: str, rows: list[tuple[int, bytes, bytes]]) -> tuple[Int64, Float32]:
    import numpy as np

    return np.array([reference for reference, _, _ in rows], dtype=np.int64), stacked_vectors(fingerprint, rows)
