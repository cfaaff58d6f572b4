"""The transaction that enrols: it writes subject, sample, reference, template, change and job item, or nothing.

Statements that run for every face are built once, because building one takes SQLAlchemy several times as long as
running it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, or_, select, update

from twindex.errors import ModelMismatchError, UsageError
from twindex.storage.rows.audit import record
from twindex.storage.rows.changes import append_changes
from twindex.storage.rows.templates import has_template, insert_templates
from twindex.storage.schema.tables import GALLERY, GENERATIONS, JOB_ITEMS, REFERENCES, SAMPLES, SUBJECTS
from twindex.storage.sqlite.chunks import id_chunks
from twindex.storage.values.face_json import face_to_json
from twindex.storage.values.names import readable_text
from twindex.storage.values.records import Enrolment, EnrolmentRequest, EnrolmentStatus, ItemStatus
from twindex.storage.values.template_format import crop_is_sound, crop_sha256
from twindex.storage.values.terms import Terms
from twindex.types import Sample

CONSENT_REQUIRED = (
    "consent_required: the gallery demands a consent; name it with --consent, or in the manifest's column consent"
)

_ITEM = select(
    JOB_ITEMS.c.status, JOB_ITEMS.c.subject, JOB_ITEMS.c.reference, JOB_ITEMS.c.consent, JOB_ITEMS.c.expires
).where(JOB_ITEMS.c.id == bindparam("item"))
_SETTLE_ITEM = update(JOB_ITEMS).where(JOB_ITEMS.c.id == bindparam("item"))
_DEMANDS_CONSENT = select(GALLERY.c.consent_required)
_KEEP_CROPS = select(GALLERY.c.keep_crops)
_SUBJECT = select(SUBJECTS.c.id).where(SUBJECTS.c.name == bindparam("subject"))
_OF_FACE = SAMPLES.c.source_sha256 == bindparam("source"), SAMPLES.c.face_index == bindparam("face")
_SAMPLE = select(SAMPLES.c.id).where(*_OF_FACE)
_REFERENCE = (
    select(REFERENCES.c.id)
    .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
    .join(SUBJECTS, SUBJECTS.c.id == REFERENCES.c.subject_id)
    .where(*_OF_FACE, SUBJECTS.c.name == bindparam("subject"))
)
_COLLISIONS = (
    select(SUBJECTS.c.name)
    .join(REFERENCES, REFERENCES.c.subject_id == SUBJECTS.c.id)
    .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
    .where(SAMPLES.c.source_sha256 == bindparam("source"), SUBJECTS.c.id != bindparam("subject"))
    .distinct()
    .order_by(SUBJECTS.c.name)
)
_INSERT = {table: insert(table).returning(table.c.id) for table in (SUBJECTS, SAMPLES, REFERENCES)}


@dataclass(frozen=True)
class _Item:
    """A job item at the time of the transaction; the subject is None if it was erased."""

    status: ItemStatus
    subject: str | None
    reference: int | None
    terms: Terms


def enroll(
    connection: Connection, request: EnrolmentRequest, subject: str, fingerprint: str, vector: bytes
) -> Enrolment:
    """Enrol one face in the caller's write transaction. Enrolling the same face again changes nothing.

    Args:
        connection: In a write transaction.
        request: The face to enrol.
        subject: The request's subject in its stored form; a job item's present subject takes precedence.
        fingerprint: The model that made the vector.
        vector: The request's vector in its stored form.

    Raises:
        UsageError: If the request names a job item that does not exist.
    """
    terms = request.terms
    if request.job_item is not None:
        item = _item(connection, request.job_item)
        if item.status != "pending" or item.subject is None:
            return _settled_already(item)
        subject, terms = item.subject, item.terms
    known = find_reference(connection, request.sample, subject)
    if known is None and terms.consent is None and connection.execute(_DEMANDS_CONSENT).scalar_one():
        return _refused(connection, request)
    subject_id = _ensure_subject(connection, subject)
    sample_id = _ensure_sample(connection, request.sample)
    if known is not None:
        _mend_crop(connection, sample_id, request.sample.crop)
    reference = known or _insert_reference(connection, sample_id, subject_id, terms)
    if known is not None:
        set_terms(connection, {known: terms})
    status: EnrolmentStatus = "already_enrolled"
    if not has_template(connection, fingerprint, reference):
        insert_templates(connection, fingerprint, [(reference, vector)])
        append_changes(connection, "enrolled", [reference])
        status = "enrolled"
    if request.job_item is not None:
        _settle_item(connection, request.job_item, reference, status)
    return Enrolment(reference, status, _collisions(connection, request.sample.source_sha256, subject_id))


def refuse_stale_model(connection: Connection, fingerprint: str) -> None:
    """Refuse templates of a model that no longer answers queries; without an active generation any model is accepted.

    Raises:
        ModelMismatchError: If the active generation has another model.
    """
    active = connection.scalar(select(GENERATIONS.c.fingerprint).where(GENERATIONS.c.state == "active"))
    if active is not None and active != fingerprint:
        raise ModelMismatchError(
            f"The gallery answers with model {active[:12]}, the templates are of {fingerprint[:12]}: "
            "embed the photos again."
        )


def _ensure_subject(connection: Connection, name: str) -> int:
    found = connection.scalar(_SUBJECT, {"subject": name})
    if found is not None:
        return found
    return _insert(connection, SUBJECTS, name=name, details={}, created=datetime.now(UTC))


def _ensure_sample(connection: Connection, sample: Sample) -> int:
    found = connection.scalar(_SAMPLE, {"source": sample.source_sha256, "face": sample.face_index})
    if found is not None:
        return found
    keep_crops = connection.execute(_KEEP_CROPS).scalar_one()
    return _insert(
        connection,
        SAMPLES,
        source_sha256=sample.source_sha256,
        source_name=readable_text(sample.source_name),
        face_index=sample.face_index,
        face=None if sample.face is None else face_to_json(sample.face),
        quality=float(sample.quality),
        crop_sha256=crop_sha256(sample.crop) if keep_crops else None,
        crop=sample.crop if keep_crops else None,
    )


def _mend_crop(connection: Connection, sample_id: int, crop: bytes) -> None:
    """Replace a damaged crop by a new crop of the same face."""
    row = connection.execute(select(SAMPLES.c.crop, SAMPLES.c.crop_sha256).where(SAMPLES.c.id == sample_id)).one()
    if not crop_is_sound(row.crop, row.crop_sha256):
        mended = update(SAMPLES).where(SAMPLES.c.id == sample_id)
        connection.execute(mended.values(crop=crop, crop_sha256=crop_sha256(crop)))


def find_reference(connection: Connection, sample: Sample, subject: str) -> int | None:
    """The subject's reference to a captured face, or None."""
    named = {"source": sample.source_sha256, "face": sample.face_index, "subject": subject}
    return connection.scalar(_REFERENCE, named)


def set_terms(connection: Connection, terms: Mapping[int, Terms]) -> None:
    """Set the terms of existing references in the caller's write transaction; a term that is None is left unchanged."""
    renewed = []
    for reference, wanted in terms.items():
        values = {"consent": wanted.consent, "expires": wanted.expires}
        given = {column: value for column, value in values.items() if value is not None}
        if given:
            differs = or_(*(REFERENCES.c[column].is_distinct_from(value) for column, value in given.items()))
            changed = update(REFERENCES).where(REFERENCES.c.id == reference, differs).values(**given)
            renewed += [reference] * connection.execute(changed).rowcount
    if renewed:
        record(connection, "renew", {"references": renewed}, subjects_of(connection, renewed))


def subjects_of(connection: Connection, references: Sequence[int]) -> list[int]:
    """The ids of the subjects that these references belong to."""
    found: set[int] = set()
    for chunk in id_chunks(references):
        found.update(connection.scalars(select(REFERENCES.c.subject_id).where(REFERENCES.c.id.in_(chunk))))
    return sorted(found)


def _insert_reference(connection: Connection, sample_id: int, subject_id: int, terms: Terms) -> int:
    return _insert(
        connection,
        REFERENCES,
        sample_id=sample_id,
        subject_id=subject_id,
        enrolled=datetime.now(UTC),
        consent=terms.consent,
        expires=terms.expires,
    )


def _insert(connection: Connection, table: Table[Any], **values: object) -> int:
    number: int = connection.execute(_INSERT[table], values).scalar_one()
    return number


def _item(connection: Connection, number: int) -> _Item:
    row = connection.execute(_ITEM, {"item": number}).first()
    if row is None:
        raise UsageError(f"No job item {number}: nothing was enrolled; take the id from the job's list of items.")
    return _Item(row.status, row.subject, row.reference, Terms(row.consent, row.expires))


def _settled_already(item: _Item) -> Enrolment:
    """The result for an item that an erasure, or another process with the same job, has already settled."""
    if item.subject is None or item.reference is None:
        return Enrolment(None, "withdrawn", ())
    return Enrolment(item.reference, "already_enrolled", ())


def _refused(connection: Connection, request: EnrolmentRequest) -> Enrolment:
    """Leave out a face that has no consent, and record that in its job item."""
    if request.job_item is not None:
        failed = {"item": request.job_item, "status": "failed", "reason": CONSENT_REQUIRED}
        connection.execute(_SETTLE_ITEM, failed)
    return Enrolment(None, "consent_required", ())


def _settle_item(connection: Connection, item: int, reference: int, status: EnrolmentStatus) -> None:
    if status == "enrolled":
        outcome: dict[str, str | None] = {"status": "enrolled", "reason": None}
    else:
        outcome = {"status": "skipped", "reason": "already_enrolled"}
    connection.execute(_SETTLE_ITEM, {"item": item, "reference": reference, **outcome})


def _collisions(connection: Connection, source_sha256: str, subject_id: int) -> tuple[str, ...]:
    return tuple(connection.scalars(_COLLISIONS, {"source": source_sha256, "subject": subject_id}))
