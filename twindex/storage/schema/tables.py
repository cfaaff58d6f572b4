"""The tables as SQLAlchemy sees them. `migrations.py` makes them; a test checks that the two agree.

Vectors and crops are kept in ordinary rowid tables. A `WITHOUT ROWID` table also copies rows into inner pages of its
tree, where they survive deletion even with `secure_delete=ON`.

Only SQLAlchemy's core is used: importing its object mapper takes longer than most commands take to answer.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Named,
    String,
    Table,
    TypedColumns,
    UniqueConstraint,
    text,
)

from twindex.storage.schema.column_types import AnyText, UtcTime

METADATA = MetaData()


class _Gallery(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    gallery_id: Named[str]
    keep_crops: Named[bool]
    created: Named[datetime] = Column(UtcTime, nullable=False)
    threshold: Named[dict[str, Any] | None] = Column(JSON(none_as_null=True))
    consent_required: Named[bool] = Column(Boolean, nullable=False, server_default=text("0"))


GALLERY = Table("gallery", METADATA, _Gallery, CheckConstraint("id = 1"))
"""The one row that says what this gallery is."""


class _Subjects(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    name: Named[str] = Column(String, unique=True, nullable=False)
    details: Named[dict[str, Any]] = Column(JSON, nullable=False)
    created: Named[datetime] = Column(UtcTime, nullable=False)


SUBJECTS = Table("subjects", METADATA, _Subjects, sqlite_autoincrement=True)
"""The enrolled people."""


class _Samples(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    source_sha256: Named[str]
    source_name: Named[str]
    face_index: Named[int]
    face: Named[dict[str, Any] | None] = Column(JSON(none_as_null=True))
    quality: Named[float] = Column(Float, nullable=False)
    crop_sha256: Named[bytes | None]
    crop: Named[bytes | None]


SAMPLES = Table(
    "samples", METADATA, _Samples, UniqueConstraint("source_sha256", "face_index"), sqlite_autoincrement=True
)
"""Captured faces. Two subjects may share one; the crop is the last column so that the others are read fast."""


class _References(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    sample_id: Named[int] = Column(ForeignKey("samples.id"), nullable=False)
    subject_id: Named[int] = Column(ForeignKey("subjects.id"), nullable=False)
    enrolled: Named[datetime] = Column(UtcTime, nullable=False)
    consent: Named[str | None]
    expires: Named[datetime | None] = Column(UtcTime)


REFERENCES = Table(
    "references",
    METADATA,
    _References,
    UniqueConstraint("sample_id", "subject_id"),
    Index("references_subject", "subject_id"),
    Index("references_expires", "expires", sqlite_where=text("expires IS NOT NULL")),
    sqlite_autoincrement=True,
)
"""Which sample belongs to which subject. The id is also the id in the index, and is never reused."""


class _Templates(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    reference_id: Named[int] = Column(ForeignKey("references.id"), nullable=False)
    fingerprint: Named[str]
    sha256: Named[bytes]
    vector: Named[bytes]


TEMPLATES = Table(
    "templates",
    METADATA,
    _Templates,
    UniqueConstraint("fingerprint", "reference_id"),
    Index("templates_reference", "reference_id"),
)
"""The vector of a reference under one model; `template_format.py` describes its bytes."""


class _Changes(TypedColumns):
    revision: Named[int] = Column(Integer, primary_key=True)
    kind: Named[str]
    reference: Named[int]


CHANGES = Table(
    "changes", METADATA, _Changes, CheckConstraint("kind IN ('enrolled', 'erased')"), sqlite_autoincrement=True
)
"""Enrolments and erasures. A row outlives its reference, so there is no foreign key."""


class _Generations(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    fingerprint: Named[str]
    index_spec: Named[str]
    state: Named[str]
    created: Named[datetime] = Column(UtcTime, nullable=False)
    activated: Named[datetime | None] = Column(UtcTime)
    snapshot: Named[dict[str, Any] | None] = Column(JSON(none_as_null=True))


GENERATIONS = Table(
    "generations",
    METADATA,
    _Generations,
    CheckConstraint("state IN ('building', 'active', 'retired')"),
    Index("generations_one_active", "state", unique=True, sqlite_where=text("state = 'active'")),
    sqlite_autoincrement=True,
)
"""Searchable indexes and the snapshots that were written of them."""


class _Jobs(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    kind: Named[str]
    parameters: Named[dict[str, Any]] = Column(JSON, nullable=False)
    state: Named[str]
    created: Named[datetime] = Column(UtcTime, nullable=False)
    finished: Named[datetime | None] = Column(UtcTime)


JOBS = Table(
    "jobs",
    METADATA,
    _Jobs,
    CheckConstraint("state IN ('running', 'finished', 'interrupted', 'failed')"),
    sqlite_autoincrement=True,
)
"""Batch jobs."""


class _JobItems(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    job_id: Named[int] = Column(ForeignKey("jobs.id"), nullable=False)
    path: Named[str | None] = Column(AnyText)
    subject: Named[str | None]
    status: Named[str]
    reason: Named[str | None]
    reference: Named[int | None]
    consent: Named[str | None]
    expires: Named[datetime | None] = Column(UtcTime)


JOB_ITEMS = Table(
    "job_items",
    METADATA,
    _JobItems,
    UniqueConstraint("job_id", "path", "subject"),
    CheckConstraint("status IN ('pending', 'enrolled', 'skipped', 'failed')"),
    sqlite_autoincrement=True,
)
"""The files that jobs work on. Path, subject and terms become NULL when the subject is erased."""


class _Audit(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    time: Named[datetime] = Column(UtcTime, nullable=False)
    actor: Named[str]
    action: Named[str]
    subjects: Named[list[int]] = Column(JSON, nullable=False)
    details: Named[dict[str, Any]] = Column(JSON, nullable=False)


AUDIT = Table("audit", METADATA, _Audit, sqlite_autoincrement=True)
"""Who did what, and when. Triggers forbid changing or deleting rows. Subjects are ids, which identify nobody."""

AUDIT_TRIGGERS = ("audit_keeps_rows", "audit_keeps_words", "audit_keeps_numbers")
