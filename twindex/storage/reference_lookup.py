"""Reading references with all that belongs to them, in a transaction of the caller."""

from sqlalchemy import ColumnElement, Connection, select

from twindex.storage.face_json import face_from_json
from twindex.storage.records import ReferenceRecord
from twindex.storage.schema import ReferenceRow, SampleRow, SubjectRow


def select_references(connection: Connection, *conditions: ColumnElement[bool]) -> list[ReferenceRecord]:
    """The references that meet every condition, ascending by id."""
    statement = (
        select(
            ReferenceRow.id,
            SubjectRow.name,
            SampleRow.source_name,
            SampleRow.source_sha256,
            SampleRow.face_index,
            SampleRow.face,
            SampleRow.quality,
            ReferenceRow.enrolled,
            SampleRow.crop_sha256.is_not(None),
        )
        .join(SampleRow, SampleRow.id == ReferenceRow.sample_id)
        .join(SubjectRow, SubjectRow.id == ReferenceRow.subject_id)
        .where(*conditions)
        .order_by(ReferenceRow.id)
    )
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
        ) in connection.execute(statement)
    ]
