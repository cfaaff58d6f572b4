"""The transaction that enrols: subject, sample, reference, template, change and job item, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, or_, select, update

from twindex.errors import ModelMismatchError, UsageError
from twindex.storage.audit import record
from twindex.storage.changes import append_changes
from twindex.storage.chunks import id_chunks
from twindex.storage.face_json import face_to_json
from twindex.storage.names import readable_text
from twindex.storage.records import Enrolment, EnrolmentRequest, EnrolmentStatus, ItemStatus
from twindex.storage.schema import GALLERY, GENERATIONS, JOB_ITEMS, REFERENCES, SAMPLES, SUBJECTS
from twindex.storage.template_format import crop_is_sound, crop_sha256
from twindex.storage.templates import has_template, insert_templates
from twindex.terms import Terms
from twindex.types import Sample

CONSENT_REQUIRED = (
    "consent_required: the gallery demands a consent; name it with --consent, or in the manifest's column consent"
)


@dataclass(frozen=True)
class _Item:
    """What a job item says at the time of the transaction; the subject is None once it is erased."""

    status: ItemStatus
    subject: str | None
    reference: int | None
    terms: Terms


def enrol(
    connection: Connection, request: EnrolmentRequest, subject: str, fingerprint: str, vector: bytes
) -> Enrolment:
    """Enrol one face in the caller's write transaction. Enrolling it again changes nothing.

    Args:
        connection: In a write transaction.
        request: What to enrol.
        subject: The request's subject in its stored form; a job item's present subject goes before it.
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
    if known is None and terms.consent is None and connection.execute(select(GALLERY.c.consent_required)).scalar_one():
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
    """Refuse templates of a model that does not answer the queries; a gallery without an active generation takes any.

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
    found = connection.scalar(select(SUBJECTS.c.id).where(SUBJECTS.c.name == name))
    if found is not None:
        return found
    return _insert(connection, SUBJECTS, name=name, details={}, created=datetime.now(UTC))


def _ensure_sample(connection: Connection, sample: Sample) -> int:
    found = connection.scalar(
        select(SAMPLES.c.id).where(
            SAMPLES.c.source_sha256 == sample.source_sha256, SAMPLES.c.face_index == sample.face_index
        )
    )
    if found is not None:
        return found
    keep_crops = connection.execute(select(GALLERY.c.keep_crops)).scalar_one()
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
    """Put the crop of the same face in the place of one that is damaged."""
    row = connection.execute(select(SAMPLES.c.crop, SAMPLES.c.crop_sha256).where(SAMPLES.c.id == sample_id)).one()
    if not crop_is_sound(row.crop, row.crop_sha256):
        mended = update(SAMPLES).where(SAMPLES.c.id == sample_id)
        connection.execute(mended.values(crop=crop, crop_sha256=crop_sha256(crop)))


def find_reference(connection: Connection, sample: Sample, subject: str) -> int | None:
    """The reference that a subject has to a captured face, or None."""
    return connection.scalar(
        select(REFERENCES.c.id)
        .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
        .join(SUBJECTS, SUBJECTS.c.id == REFERENCES.c.subject_id)
        .where(
            SAMPLES.c.source_sha256 == sample.source_sha256,
            SAMPLES.c.face_index == sample.face_index,
            SUBJECTS.c.name == subject,
        )
    )


def set_terms(connection: Connection, terms: Mapping[int, Terms]) -> None:
    """Replace what the terms name, of references that exist, in the caller's write transaction."""
    renewed = []
    for reference, one in terms.items():
        values = {"consent": one.consent, "expires": one.expires}
        given = {column: value for column, value in values.items() if value is not None}
        if given:
            differs = or_(*(REFERENCES.c[column].is_distinct_from(value) for column, value in given.items()))
            changed = update(REFERENCES).where(REFERENCES.c.id == reference, differs).values(**given)
            renewed += [reference] * connection.execute(changed).rowcount
    if renewed:
        record(connection, "renew", {"references": renewed}, subjects_of(connection, renewed))


def subjects_of(connection: Connection, references: Sequence[int]) -> list[int]:
    """The ids of the subjects that some references belong to."""
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
    number: int = connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one()
    return number


def _item(connection: Connection, number: int) -> _Item:
    columns = (JOB_ITEMS.c.status, JOB_ITEMS.c.subject, JOB_ITEMS.c.reference, JOB_ITEMS.c.consent, JOB_ITEMS.c.expires)
    row = connection.execute(select(*columns).where(JOB_ITEMS.c.id == number)).first()
    if row is None:
        raise UsageError(f"No job item {number}: nothing was enrolled; take the id from the job's list of items.")
    return _Item(row.status, row.subject, row.reference, Terms(row.consent, row.expires))


def _settled_already(item: _Item) -> Enrolment:
    """What is left to say of an item that an erasure, or another process with the same job, has settled."""
    if item.subject is None or item.reference is None:
        return Enrolment(None, "withdrawn", ())
    return Enrolment(item.reference, "already_enrolled", ())


def _refused(connection: Connection, request: EnrolmentRequest) -> Enrolment:
    """Leave a face out for want of a consent, and say so of its job item."""
    if request.job_item is not None:
        failed = update(JOB_ITEMS).where(JOB_ITEMS.c.id == request.job_item)
        connection.execute(failed.values(status="failed", reason=CONSENT_REQUIRED))
    return Enrolment(None, "consent_required", ())


def _settle_item(connection: Connection, item: int, reference: int, status: EnrolmentStatus) -> None:
    if status == "enrolled":
        outcome: dict[str, str | None] = {"status": "enrolled", "reason": None}
    else:
        outcome = {"status": "skipped", "reason": "already_enrolled"}
    connection.execute(update(JOB_ITEMS).where(JOB_ITEMS.c.id == item).values(reference=reference, **outcome))


def _collisions(connection: Connection, source_sha256: str, subject_id: int) -> tuple[str, ...]:
    statement = (
        select(SUBJECTS.c.name)
        .join(REFERENCES, REFERENCES.c.subject_id == SUBJECTS.c.id)
        .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
        .where(SAMPLES.c.source_sha256 == source_sha256, SUBJECTS.c.id != subject_id)
        .distinct()
        .order_by(SUBJECTS.c.name)
    )
    return tuple(connection.scalars(statement))
