"""Everything held about one person, in a file for that person.

A ZIP archive of `subject.json` (UTF-8, JSON, "schema": 1) and `crops/REFERENCE.jpg`, the kept crops as they are stored.
"""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, select

from twindex.files.durable import private_file
from twindex.files.export_target import publish_archive, refuse_target
from twindex.files.work_folder import remove_abandoned, work_folder
from twindex.storage.rows.audit import record, rows_about
from twindex.storage.rows.reference_lookup import select_references
from twindex.storage.rows.references import select_crop
from twindex.storage.rows.subjects import find_subject
from twindex.storage.schema.tables import GALLERY, JOB_ITEMS, REFERENCES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.chunks import id_chunks
from twindex.storage.sqlite.database import Database
from twindex.storage.values.face_json import face_to_json
from twindex.storage.values.names import readable_text
from twindex.storage.values.records import ReferenceRecord
from twindex.storage.values.template_format import stacked_vectors

SCHEMA = 1


def export_subject(database: Database, name: str, path: Path) -> int:
    """Write the archive, readable by its owner only, and record that in the audit.

    Args:
        database: Open for writing.
        name: The subject's name.
        path: The archive to make, outside the gallery's folder.

    Returns:
        How many references the subject has.

    Raises:
        UsageError: If nobody has this name, the file exists, its folder is missing, or it lies in the gallery's folder.
        IntegrityError: If a template or a crop is not what was written.
        OSError: If the archive cannot be written; no part of it is left.
    """
    remove_abandoned(path)
    refuse_target(path, database.path.parent)
    with work_folder(path) as folder:
        archive = folder / "archive"
        # Audit first, then publish: no archive may exist that the audit does not list.
        with database.write() as connection, private_file(archive) as stream:
            references = _write(connection, name, stream)
        publish_archive(archive, path)
    return references


def _write(connection: Connection, name: str, stream: BinaryIO) -> int:
    """Write the archive and record it in the audit, which the archive includes; returns the number of references."""
    subject_id = find_subject(connection, name)
    references = select_references(connection, REFERENCES.c.subject_id == subject_id)
    record(connection, "export", {"references": len(references)}, [subject_id])
    held = _held(connection, subject_id, references)
    with zipfile.ZipFile(stream, "w") as archive:
        for reference in references:
            if crop := select_crop(connection, reference.reference):
                archive.writestr(_crop_file(reference), crop)
        text = json.dumps(held, indent=1, ensure_ascii=False, allow_nan=False)
        archive.writestr("subject.json", text, zipfile.ZIP_DEFLATED)
    return len(references)


def _held(connection: Connection, subject_id: int, references: list[ReferenceRecord]) -> dict[str, Any]:
    columns = (SUBJECTS.c.name, SUBJECTS.c.details, SUBJECTS.c.created)
    subject = connection.execute(select(*columns).where(SUBJECTS.c.id == subject_id)).one()
    ids = [reference.reference for reference in references]
    return {
        "schema": SCHEMA,
        "exported": datetime.now(UTC).isoformat(),
        "gallery": connection.execute(select(GALLERY.c.gallery_id)).scalar_one(),
        "subject": {
            "id": subject_id,
            "name": subject.name,
            "created": subject.created.isoformat(),
            "metadata": subject.details,
        },
        "references": [_reference(connection, reference) for reference in references],
        "job_items": _job_items(connection, subject.name, ids),
        "audit": [row.to_json() for row in rows_about(connection, subject_id)],
    }


def _reference(connection: Connection, reference: ReferenceRecord) -> dict[str, Any]:
    return {
        "reference": reference.reference,
        "enrolled": reference.enrolled.isoformat(),
        "photo": reference.source_name,
        "photo_sha256": reference.source_sha256,
        "face_index": reference.face_index,
        "face": None if reference.face is None else face_to_json(reference.face),
        "quality": reference.quality,
        "consent": reference.terms.consent,
        "expires": None if reference.terms.expires is None else reference.terms.expires.isoformat(),
        "crop": _crop_file(reference) if reference.has_crop else None,
        "templates": _templates(connection, reference.reference),
    }


def _templates(connection: Connection, reference: int) -> list[dict[str, Any]]:
    """The vectors of every model; each number is the shortest decimal that reads back as the same float32."""
    statement = select(TEMPLATES.c.fingerprint, TEMPLATES.c.vector, TEMPLATES.c.sha256).order_by(TEMPLATES.c.id)
    rows = connection.execute(statement.where(TEMPLATES.c.reference_id == reference)).all()
    return [
        {
            "model": fingerprint,
            "values": [float(str(value)) for value in stacked_vectors(fingerprint, [(reference, vector, sha256)])[0]],
        }
        for fingerprint, vector, sha256 in rows
    ]


def _crop_file(reference: ReferenceRecord) -> str:
    return f"crops/{reference.reference}.jpg"


def _job_items(connection: Connection, name: str, references: list[int]) -> list[dict[str, Any]]:
    """What batch jobs hold about the person, by name or by reference."""
    found: dict[int, dict[str, Any]] = {}
    conditions = [JOB_ITEMS.c.subject == name, *(JOB_ITEMS.c.reference.in_(chunk) for chunk in id_chunks(references))]
    for condition in conditions:
        for row in connection.execute(select(JOB_ITEMS).where(condition)):
            found[row.id] = {
                "job": row.job_id,
                "path": None if row.path is None else readable_text(row.path),
                "subject": row.subject,
                "status": row.status,
                "reason": row.reason,
                "reference": row.reference,
                "consent": row.consent,
                "expires": None if row.expires is None else row.expires.isoformat(),
            }
    return [found[number] for number in sorted(found)]
