"""References and their templates: enrolling, reading and re-embedding them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from twindex.errors import UsageError
from twindex.storage.rows.audit import record
from twindex.storage.rows.enrolment import enroll, refuse_stale_model, set_terms, subjects_of
from twindex.storage.rows.reference_lookup import select_references
from twindex.storage.rows.templates import (
    count_templates,
    delete_template,
    delete_templates,
    insert_templates,
    refuse_other_length,
    select_ids,
    select_missing,
    select_owners,
    select_page,
    select_vectors,
    without_template,
)
from twindex.storage.schema.tables import REFERENCES, SAMPLES, SUBJECTS, TEMPLATES
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.pages import advanced
from twindex.storage.values.names import subject_name
from twindex.storage.values.records import Enrolment, EnrolmentRequest, KeptCrop, ReferenceRecord
from twindex.storage.values.template_format import checked_crop, checked_fingerprint, vector_bytes
from twindex.storage.values.terms import Terms
from twindex.types import Sample

if TYPE_CHECKING:
    from twindex.types import Float32, Int64


class References:
    """The references of a gallery; every method is one transaction.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enroll(
        self, sample: Sample, subject: str, fingerprint: str, vector: Float32, *, job_item: int | None = None
    ) -> Enrolment:
        """Enrol one face, durably. See `enroll_many`."""
        return self.enroll_many([EnrolmentRequest(sample, subject, vector, job_item)], fingerprint)[0]

    def enroll_many(self, items: Sequence[EnrolmentRequest], fingerprint: str) -> list[Enrolment]:
        """Enrol several faces in one transaction: all of them, or none if one is refused.

        A face is identified by its photo's SHA-256 and its face index. If the subject already holds the face, only the
        given terms are updated, and a template of this model is added if it is missing. A request with a job item
        enrols for the item's present subject, or nothing if the item is no longer pending. If the gallery demands a
        consent, new faces without one are left out.

        Args:
            items: The faces, with vectors (dim,) float32 of unit length.
            fingerprint: The model that made the vectors.

        Returns:
            What happened to each, in the order of `items`.

        Raises:
            ValueError: If a vector is not finite, not of unit length, or not of the model's number of dimensions.
            UsageError: If a name cannot be stored or a job item does not exist.
            ModelMismatchError: If another model answers queries now, so that the faces would never be found.
        """
        checked_fingerprint(fingerprint)
        prepared = [(item, subject_name(item.subject), vector_bytes(item.vector)) for item in items]
        with self._database.write() as connection:
            refuse_stale_model(connection, fingerprint)
            refuse_other_length(connection, fingerprint, {len(vector) for _, _, vector in prepared})
            done = [enroll(connection, item, subject, fingerprint, vector) for item, subject, vector in prepared]
            new = [result.reference for result in done if result.status == "enrolled" and result.reference is not None]
            if new:
                record(connection, "enroll", {"references": new, "model": fingerprint}, subjects_of(connection, new))
        return done

    def renew(self, terms: Mapping[int, Terms]) -> None:
        """Set the terms of references. Terms that are None stay unchanged, and ids that do not exist are ignored."""
        with self._database.write() as connection:
            set_terms(connection, terms)

    def vectors(self, fingerprint: str, references: Sequence[int]) -> tuple[Int64, Float32]:
        """The templates of some references.

        Args:
            fingerprint: The model.
            references: Ids; references without a template of this model are left out.

        Returns:
            Ids (n,) int64 ascending, vectors (n, dim) float32.

        Raises:
            IntegrityError: If a template was changed after it was written; the message names its reference.
        """
        with self._database.read() as connection:
            return select_vectors(connection, fingerprint, references)

    def batches(self, fingerprint: str, batch_size: int) -> Iterator[tuple[Int64, Float32]]:
        """All templates of a model in ascending order of reference, each batch in its own short transaction.

        Yields:
            Ids (n,) int64 and vectors (n, dim) float32, with 1 <= n <= `batch_size`.

        Raises:
            IntegrityError: If a template was changed after it was written; the message names its reference.
        """
        after = 0
        while True:
            with self._database.read() as connection:
                references, vectors = select_page(connection, fingerprint, after, batch_size)
            if not len(references):
                return
            yield references, vectors
            after = advanced(after, int(references[-1]))

    def ids(self, fingerprint: str) -> Int64:
        """The references that have a template of a model, (n,) int64, ascending."""
        with self._database.read() as connection:
            return select_ids(connection, fingerprint)

    def count(self, fingerprint: str | None = None) -> int:
        """How many references there are, or how many have a template of a model."""
        with self._database.read() as connection:
            if fingerprint is not None:
                return count_templates(connection, fingerprint)
            return connection.execute(select(func.count()).select_from(REFERENCES)).scalar_one()

    def missing(self, fingerprint: str, after: int, limit: int) -> list[KeptCrop]:
        """The first `limit` references with an id above `after` that have no template of a model.

        Raises:
            IntegrityError: If a crop was changed after it was written; the message names its reference.
        """
        with self._database.read() as connection:
            found = select_missing(connection, fingerprint, after, limit)
        if found:
            advanced(after, found[-1].reference)
        return found

    def add_templates(self, fingerprint: str, references: Int64, vectors: Float32) -> int:
        """Give existing references templates of another model, as a re-index does; the log of changes gets no entry.

        Args:
            fingerprint: The model.
            references: (n,) int64; ids that were erased meanwhile or have a template already are skipped.
            vectors: (n, dim) float32, unit length.

        Returns:
            How many templates were added.

        Raises:
            ValueError: If the lengths differ, an id is given twice, or a vector is refused as by `enroll_many`.
        """
        checked_fingerprint(fingerprint)
        ids = [int(reference) for reference in references]
        if len(ids) != len(vectors) or len(set(ids)) != len(ids):
            raise ValueError(f"Expected one vector for each distinct id, got {len(vectors)} for {len(ids)} ids.")
        stored = [(reference, vector_bytes(vector)) for reference, vector in zip(ids, vectors, strict=True)]
        with self._database.write() as connection:
            refuse_other_length(connection, fingerprint, {len(vector) for _, vector in stored})
            wanted = without_template(connection, fingerprint, ids)
            insert_templates(connection, fingerprint, [row for row in stored if row[0] in wanted])
        return len(wanted)

    def fingerprints(self) -> list[str]:
        """The fingerprints of all models with templates in this gallery."""
        with self._database.read() as connection:
            return list(connection.scalars(select(TEMPLATES.c.fingerprint).distinct()))

    def replace_template(self, fingerprint: str, reference: int, vector: Float32) -> bool:
        """Replace a damaged template by a new one, in one step.

        Args:
            fingerprint: The model.
            reference: Whose template it is.
            vector: (dim,) float32, unit length.

        Returns:
            False if the reference has no template of this model, or was erased meanwhile; then nothing has changed.

        Raises:
            ValueError: If the vector is refused as by `enroll_many`.
        """
        stored = vector_bytes(vector)
        with self._database.write() as connection:
            if not delete_template(connection, fingerprint, reference):
                return False
            refuse_other_length(connection, fingerprint, {len(stored)})
            insert_templates(connection, fingerprint, [(reference, stored)])
        return True

    def drop_templates(self, fingerprint: str) -> int:
        """Remove all templates of a model; returns how many there were."""
        with self._database.write() as connection:
            dropped = delete_templates(connection, fingerprint)
            if dropped:
                record(connection, "prune", {"model": fingerprint, "templates": dropped})
        return dropped

    def owners(self, references: Sequence[int]) -> dict[int, str]:
        """The subject of each reference, without references that do not exist or have expired."""
        with self._database.read() as connection:
            return select_owners(connection, references)

    def families(self, references: Sequence[int]) -> dict[int, str]:
        """All unexpired references of the subjects that these references belong to, each with its subject."""
        with self._database.read() as connection:
            return select_owners(connection, references, whole_subjects=True)

    def get(self, reference: int) -> ReferenceRecord:
        """One reference.

        Raises:
            UsageError: If no reference has this id.
        """
        with self._database.read() as connection:
            found = select_references(connection, REFERENCES.c.id == int(reference))
        if not found:
            raise _no_reference(reference)
        return found[0]

    def crop(self, reference: int) -> bytes | None:
        """The kept crop of a reference, or None if the gallery keeps none.

        Raises:
            UsageError: If no reference has this id.
            IntegrityError: If the crop was changed after it was written.
        """
        with self._database.read() as connection:
            return select_crop(connection, int(reference))

    def find(self, source_sha256: str, subject: str | None = None) -> list[ReferenceRecord]:
        """The references made from a photo, ascending by id; only those of `subject` if given."""
        conditions = [SAMPLES.c.source_sha256 == source_sha256]
        if subject is not None:
            conditions.append(SUBJECTS.c.name == subject_name(subject))
        with self._database.read() as connection:
            return select_references(connection, *conditions)


def select_crop(connection: Connection, reference: int) -> bytes | None:
    """The kept crop of a reference, as in `References.crop`, in the caller's transaction."""
    statement = (
        select(SAMPLES.c.crop, SAMPLES.c.crop_sha256)
        .join(REFERENCES, REFERENCES.c.sample_id == SAMPLES.c.id)
        .where(REFERENCES.c.id == reference)
    )
    row = connection.execute(statement).first()
    if row is None:
        raise _no_reference(reference)
    return checked_crop(reference, row.crop, row.crop_sha256)


def _no_reference(reference: int) -> UsageError:
    return UsageError(
        f"No reference {reference}: it was never enrolled or has been erased; see `twindex subjects show`."
    )
