"""Reading references with their samples and subjects, in a transaction of the caller."""

from sqlalchemy import ColumnElement, Connection, select

from twindex.storage.schema.tables import REFERENCES, SAMPLES, SUBJECTS
from twindex.storage.values.face_json import face_from_json
from twindex.storage.values.records import ReferenceRecord
from twindex.storage.values.terms import Terms

_REFERENCES = (
    select(
        REFERENCES.c.id,
        SUBJECTS.c.name,
        SAMPLES.c.source_name,
        SAMPLES.c.source_sha256,
        SAMPLES.c.face_index,
        SAMPLES.c.face,
        SAMPLES.c.quality,
        REFERENCES.c.enrolled,
        SAMPLES.c.crop_sha256.is_not(None),
        REFERENCES.c.consent,
        REFERENCES.c.expires,
    )
    .join(SAMPLES, SAMPLES.c.id == REFERENCES.c.sample_id)
    .join(SUBJECTS, SUBJECTS.c.id == REFERENCES.c.subject_id)
    .order_by(REFERENCES.c.id)
)


def select_references(connection: Connection, *conditions: ColumnElement[bool]) -> list[ReferenceRecord]:
    """The references that meet every condition, ascending by id."""
    return [
        ReferenceRecord(
            reference=reference,
            subject=subject,
            source_name=source_name,
            source_sha256=source_sha256,
            face_index=face_index,
            face=None if face is None else face_from_json(face),
            quality=quality,
            enrolled=enrolled,
            has_crop=has_crop,
            terms=Terms(consent, expires),
        )
        for (
            reference,
            subject,
            source_name,
            source_sha256,
            face_index,
            face,
            quality,
            enrolled,
            has_crop,
            consent,
            expires,
        ) in connection.execute(_REFERENCES.where(*conditions))
    ]
