"""Subjects: listing, renaming, merging and erasing the enrolled."""

from typing import Any

from sqlalchemy import Connection, func, select, update

from twindex.errors import UsageError
from twindex.storage.database import Database
from twindex.storage.erasure import erase_subject
from twindex.storage.generations import forget_all_snapshots
from twindex.storage.merging import hand_over_items, hand_over_references
from twindex.storage.names import subject_name, unknown_subject
from twindex.storage.records import Erasure, SubjectDetail, SubjectSummary
from twindex.storage.reference_lookup import select_references
from twindex.storage.schema import REFERENCES, SUBJECTS


class Subjects:
    """The subjects of a gallery; every method is one transaction.

    Args:
        database: Where they lie.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, at_most: int | None = None) -> int:
        """How many subjects there are, counted up to a number, which is quick in a large gallery."""
        counted = select(SUBJECTS.c.id).limit(at_most).subquery()
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(counted)).scalar_one()

    def show(self, name: str) -> SubjectDetail:
        """All that is known of a subject.

        Raises:
            UsageError: If nobody has this name; the message gives the nearest ones.
        """
        with self._database.read() as connection:
            subject_id = _find(connection, name)
            row = connection.execute(
                select(SUBJECTS.c.name, SUBJECTS.c.details, SUBJECTS.c.created).where(SUBJECTS.c.id == subject_id)
            ).one()
            references = select_references(connection, REFERENCES.c.subject_id == subject_id)
        return SubjectDetail(row.name, row.details, row.created, tuple(references))

    def set_metadata(self, name: str, metadata: dict[str, Any]) -> None:
        """Replace a subject's free metadata, JSON values only.

        Raises:
            UsageError: If nobody has this name.
        """
        with self._database.write() as connection:
            subject_id = _find(connection, name)
            connection.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject_id).values(details=metadata))

    def rename(self, name: str, new_name: str) -> None:
        """Give a subject another name, also in the items of jobs.

        Raises:
            UsageError: If nobody has this name, or the new one is taken or cannot be stored.
        """
        new = subject_name(new_name)
        with self._database.write() as connection:
            subject_id = _find(connection, name)
            taken = connection.scalar(select(SUBJECTS.c.id).where(SUBJECTS.c.name == new))
            if taken == subject_id:
                return
            if taken is not None:
                raise UsageError(f"The name {new!r} is taken; to make one subject of the two, use `subjects merge`.")
            connection.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject_id).values(name=new))
            hand_over_items(connection, subject_name(name), new)

    def merge(self, source: str, target: str) -> int:
        """Make two subjects one: the references of `source` become those of `target`, and `source` is gone.

        Where both hold the same sample, the source's reference is erased.

        Returns:
            How many references moved.

        Raises:
            UsageError: If one of the names is unknown, or both are the same.
        """
        with self._database.write() as connection:
            source_id, target_id = _find(connection, source), _find(connection, target)
            if source_id == target_id:
                raise UsageError(f"Cannot merge {source!r} with itself; name two subjects.")
            moved = hand_over_references(connection, source_id, target_id)
            hand_over_items(connection, subject_name(source), subject_name(target))
            erase_subject(connection, source_id, subject_name(source))
        return moved

    def erase(self, name: str) -> Erasure:
        """Erase a subject: references, templates, samples and crops nobody else holds, and what job items say.

        Every snapshot is forgotten in the same transaction; removing their files is left to the caller.

        Returns:
            The receipt. While it says `pending`, erased bytes may still be in the write-ahead log.

        Raises:
            UsageError: If nobody has this name.
        """
        with self._database.write() as connection:
            stored = subject_name(name)
            references, samples = erase_subject(connection, _find(connection, name), stored)
            # Their files hold the vectors. A kill before they are removed leaves files that nothing lists.
            forget_all_snapshots(connection)
        return Erasure(stored, references, samples, pending=not self._database.truncate_journal())

    # Last, because below it the word would mean this method and not the built-in type.
    def list(self) -> list[SubjectSummary]:
        """All subjects, ordered by name."""
        statement = (
            select(SUBJECTS.c.name, func.count(REFERENCES.c.id), SUBJECTS.c.created)
            .outerjoin(REFERENCES, REFERENCES.c.subject_id == SUBJECTS.c.id)
            .group_by(SUBJECTS.c.id)
            .order_by(SUBJECTS.c.name)
        )
        with self._database.read() as connection:
            return [SubjectSummary(name, count, created) for name, count, created in connection.execute(statement)]


def _find(connection: Connection, name: str) -> int:
    stored = subject_name(name)
    found = connection.scalar(select(SUBJECTS.c.id).where(SUBJECTS.c.name == stored))
    if found is None:
        raise unknown_subject(stored, connection.scalars(select(SUBJECTS.c.name).order_by(SUBJECTS.c.name)))
    return found
