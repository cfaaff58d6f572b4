"""The tables as SQLAlchemy sees them. `migrations.py` makes them; a test proves that the two agree.

Vectors and crops live in ordinary rowid tables, never in `WITHOUT ROWID` ones: there rows are also copied into
inner pages of the tree, and remnants of a row survive its deletion even with `secure_delete=ON`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from twindex.storage.column_types import AnyText, UtcTime


class Base(DeclarativeBase):
    """Base of all tables; holds their metadata."""


class GalleryRow(Base):
    """The one row that says what this gallery is."""

    __tablename__ = "gallery"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gallery_id: Mapped[str]
    keep_crops: Mapped[bool]
    created: Mapped[datetime] = mapped_column(UtcTime)
    threshold: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class SubjectRow(Base):
    """An enrolled person."""

    __tablename__ = "subjects"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(UtcTime)


class SampleRow(Base):
    """One captured face. Two subjects may claim the same one; the crop is last so that other columns read fast."""

    __tablename__ = "samples"
    __table_args__ = (UniqueConstraint("source_sha256", "face_index"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    source_sha256: Mapped[str]
    source_name: Mapped[str]
    face_index: Mapped[int]
    face: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    quality: Mapped[float] = mapped_column(Float)
    crop_sha256: Mapped[bytes | None]
    crop: Mapped[bytes | None]


class ReferenceRow(Base):
    """A sample that belongs to a subject; the id is the index's id and is never reused."""

    __tablename__ = "references"
    __table_args__ = (
        UniqueConstraint("sample_id", "subject_id"),
        Index("references_subject", "subject_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("samples.id"))
    subject_id: Mapped[int] = mapped_column(ForeignKey("subjects.id"))
    enrolled: Mapped[datetime] = mapped_column(UtcTime)


class TemplateRow(Base):
    """The vector of a reference under one model; the bytes are described in `template_format.py`."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("fingerprint", "reference_id"), Index("templates_reference", "reference_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    reference_id: Mapped[int] = mapped_column(ForeignKey("references.id"))
    fingerprint: Mapped[str]
    sha256: Mapped[bytes]
    vector: Mapped[bytes]


class ChangeRow(Base):
    """One enrolment or erasure; the row outlives its reference, so there is no foreign key."""

    __tablename__ = "changes"
    __table_args__ = (CheckConstraint("kind IN ('enrolled', 'erased')"), {"sqlite_autoincrement": True})

    revision: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    reference: Mapped[int]


class GenerationRow(Base):
    """A searchable index and, once one is written, its snapshot."""

    __tablename__ = "generations"
    __table_args__ = (
        CheckConstraint("state IN ('building', 'active', 'retired')"),
        Index("generations_one_active", "state", unique=True, sqlite_where=text("state = 'active'")),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    index_spec: Mapped[str]
    state: Mapped[str]
    created: Mapped[datetime] = mapped_column(UtcTime)
    activated: Mapped[datetime | None] = mapped_column(UtcTime)
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class JobRow(Base):
    """A batch job."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'finished', 'interrupted', 'failed')"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str]
    created: Mapped[datetime] = mapped_column(UtcTime)
    finished: Mapped[datetime | None] = mapped_column(UtcTime)


class JobItemRow(Base):
    """One file of a job. Path and subject are NULL once the subject is erased."""

    __tablename__ = "job_items"
    __table_args__ = (
        UniqueConstraint("job_id", "path", "subject"),
        CheckConstraint("status IN ('pending', 'enrolled', 'skipped', 'failed')"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    path: Mapped[str | None] = mapped_column(AnyText)
    subject: Mapped[str | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    reference: Mapped[int | None]
