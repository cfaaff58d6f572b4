"""What a database holds, in numbers: enough to know it again in another place."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from twindex.storage.schema.migrations import schema_version
from twindex.storage.schema.tables import CHANGES, GALLERY, GENERATIONS, REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.database import Database


@dataclass(frozen=True)
class Contents:
    """A state of a gallery in numbers.

    Attributes:
        gallery_id: Of the gallery.
        schema: Of the database.
        revision: The last change.
        subjects, samples, references: How many there are.
        templates: How many there are of each model, by fingerprint.
        model: Fingerprint of the model that answers, or None where no generation is active.
    """

    gallery_id: str
    schema: int
    revision: int
    subjects: int
    samples: int
    references: int
    templates: dict[str, int]
    model: str | None

    def counts(self) -> dict[str, int]:
        """What the audit tells of an export or an import."""
        return {"revision": self.revision, "subjects": self.subjects, "references": self.references}


def read_contents(database: Database) -> Contents:
    """Count what one state of the database holds."""
    by_model = select(TEMPLATES.c.fingerprint, func.count()).group_by(TEMPLATES.c.fingerprint)
    active = select(GENERATIONS.c.fingerprint).where(GENERATIONS.c.state == "active")
    with database.read() as connection:
        return Contents(
            gallery_id=connection.execute(select(GALLERY.c.gallery_id)).scalar_one(),
            schema=schema_version(connection),
            revision=connection.execute(select(func.coalesce(func.max(CHANGES.c.revision), 0))).scalar_one(),
            subjects=_count(connection, SUBJECTS.c.id),
            samples=_count(connection, SAMPLES.c.id),
            references=_count(connection, REFERENCES.c.id),
            templates={str(fingerprint): int(count) for fingerprint, count in connection.execute(by_model)},
            model=connection.scalar(active),
        )


def _count(connection: Connection, column: object) -> int:
    counted: int = connection.execute(select(func.count(column))).scalar_one()  # type: ignore[arg-type]  # any column
    return counted
