"""A gallery's database in numbers: enough to recognise the same state in another place."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from twindex.storage.schema.migrations import schema_version
from twindex.storage.schema.tables import CHANGES, GALLERY, GENERATIONS, REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.database import Database


@dataclass(frozen=True)
class Summary:
    """One state of a gallery in numbers.

    Attributes:
        gallery_id: The gallery's id.
        schema: The database's schema version.
        revision: Number of the last change.
        subjects, samples, references: How many there are.
        templates: How many templates there are of each model, by fingerprint.
        model: Fingerprint of the model that answers queries, or None if no generation is active.
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
        """The numbers that the audit records for an export or an import."""
        return {"revision": self.revision, "subjects": self.subjects, "references": self.references}


def read_summary(database: Database) -> Summary:
    """Count the rows of one state of the database."""
    by_model = select(TEMPLATES.c.fingerprint, func.count()).group_by(TEMPLATES.c.fingerprint)
    active = select(GENERATIONS.c.fingerprint).where(GENERATIONS.c.state == "active")
    with database.read() as connection:
        return Summary(
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
