"""Subjects: listing, renaming, merging and erasing enrolled people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from twindex.errors import UsageError
from twindex.storage.rows.audit import record
from twindex.storage.rows.erasure import Erased, erase_expired, erase_subject, select_expired
from twindex.storage.rows.generations import forget_all_snapshots
from twindex.storage.rows.merging import hand_over_items, hand_over_references
from twindex.storage.rows.reference_lookup import select_references
from twindex.storage.schema.tables import REFERENCES, SUBJECTS
from twindex.storage.sqlite.database import Database
from twindex.storage.values.names import readable_text, subject_name, unknown_subject
from twindex.storage.values.receipts import Erasure, ExpiredReference
from twindex.storage.values.records import SubjectDetail, SubjectSummary


class Subjects:
    """The subjects of a gallery; every method is one transaction.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, at_most: int | None = None) -> int:
        """How many subjects there are; `at_most` stops the count early, which saves time in a large gallery."""
        counted = select(SUBJECTS.c.id).limit(at_most).subquery()
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(counted)).scalar_one()

    def show(self, name: str) -> SubjectDetail:
        """Everything known about a subject.

        Raises:
            UsageError: If nobody has this name; the message gives the nearest ones.
        """
        with self._database.read() as connection:
            subject_id = find_subject(connection, name)
            row = connection.execute(
                select(SUBJECTS.c.name, SUBJECTS.c.details, SUBJECTS.c.created).where(SUBJECTS.c.id == subject_id)
            ).one()
            references = select_references(connection, REFERENCES.c.subject_id == subject_id)
        return SubjectDetail(subject_id, row.name, row.details, row.created, tuple(references))

    def annotate(self, name: str, entries: Mapping[str, str | None]) -> dict[str, Any]:
        """Set entries of a subject's free metadata, or remove those that are None.

        Returns:
            All metadata of the subject after the change.

        Raises:
            UsageError: If nobody has this name.
        """
        readable = {
            readable_text(key): None if value is None else readable_text(value) for key, value in entries.items()
        }
        with self._database.write() as connection:
            subject_id = find_subject(connection, name)
            merged = {**_metadata(connection, subject_id), **readable}
            metadata = {key: value for key, value in merged.items() if value is not None}
            _keep_metadata(connection, subject_id, metadata)
            record(connection, "metadata", {}, [subject_id])
        return metadata

    def rename(self, name: str, new_name: str) -> None:
        """Give a subject another name, in job items too.

        Raises:
            UsageError: If nobody has this name, or the new one is taken or cannot be stored.
        """
        new = subject_name(new_name)
        with self._database.write() as connection:
            subject_id = find_subject(connection, name)
            taken = connection.scalar(select(SUBJECTS.c.id).where(SUBJECTS.c.name == new))
            if taken == subject_id:
                return
            if taken is not None:
                raise UsageError(f"The name {new!r} is taken; to make one subject of the two, use `subjects merge`.")
            connection.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject_id).values(name=new))
            hand_over_items(connection, subject_name(name), new)
            record(connection, "rename", {}, [subject_id])

    def merge(self, source: str, target: str) -> int:
        """Make two subjects one: the references of `source` become those of `target`, and `source` is gone.

        If both hold the same sample, the source's reference is erased. If both have metadata under the same key, the
        target's value stays.

        Returns:
            How many references moved.

        Raises:
            UsageError: If one of the names is unknown, or both are the same.
        """
        with self._database.write() as connection:
            source_id, target_id = find_subject(connection, source), find_subject(connection, target)
            if source_id == target_id:
                raise UsageError(f"Cannot merge {source!r} with itself; name two subjects.")
            metadata = {**_metadata(connection, source_id), **_metadata(connection, target_id)}
            _keep_metadata(connection, target_id, metadata)
            moved = hand_over_references(connection, source_id, target_id)
            hand_over_items(connection, subject_name(source), subject_name(target))
            erase_subject(connection, source_id, subject_name(source))
            record(connection, "merge", {"into": target_id, "moved": moved}, [source_id, target_id])
        return moved

    def erase(self, name: str) -> Erasure:
        """Erase a subject: references, templates, job items, and the samples and crops that nobody else holds.

        All snapshots are removed from the list in the same transaction; the caller has to remove their files.

        Returns:
            What was erased, and what to search for. The audit lists the erasure as unverified until
            `gallery/erasing.py` records the result of a search of all files.

        Raises:
            UsageError: If nobody has this name.
        """
        stored = subject_name(name)
        with self._database.write() as connection:
            subject_id = find_subject(connection, name)
            erased = erase_subject(connection, subject_id, stored)
            row = _account(connection, "erase", erased, [subject_id], 1)
        return self._done(erased, (stored,), row)

    def expired(self, now: datetime) -> list[ExpiredReference]:
        """The references that have expired at the time `now`, ascending by id."""
        with self._database.read() as connection:
            return select_expired(connection, now)

    def erase_expired(self, now: datetime, limit: int) -> Erasure | None:
        """Erase the first `limit` references that have expired at the time `now`, like `erase`; None if there are none.

        A subject that is left without a reference is erased too.
        """
        with self._database.write() as connection:
            erased, subjects, gone = erase_expired(connection, now, limit)
            if not erased.references:
                return None
            row = _account(connection, "purge", erased, subjects, len(gone))
        return self._done(erased, gone, row)

    def _done(self, erased: Erased, subjects: tuple[str, ...], row: int) -> Erasure:
        pending = not self._database.truncate_journal()
        remains = (*erased.templates, *erased.crops)
        return Erasure(subjects, erased.references, erased.samples, pending, row, remains)

    # Last in the class: after it, the name `list` means this method and not the built-in type.
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


def _account(connection: Connection, action: str, erased: Erased, subjects: Sequence[int], gone: int) -> int:
    """Drop all snapshots and record the erasure, in its write transaction; returns the id of the audit's row."""
    # Snapshot files hold the vectors. After a kill before they are removed, they are files that nothing lists.
    forget_all_snapshots(connection)
    counts = {"templates": len(erased.templates), "samples": erased.samples, "crops": len(erased.crops)}
    return record(connection, action, {"references": list(erased.references), "subjects": gone, **counts}, subjects)


def _metadata(connection: Connection, subject_id: int) -> dict[str, Any]:
    metadata: dict[str, Any] = connection.execute(
        select(SUBJECTS.c.details).where(SUBJECTS.c.id == subject_id)
    ).scalar_one()
    return metadata


def _keep_metadata(connection: Connection, subject_id: int, metadata: Mapping[str, Any]) -> None:
    connection.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject_id).values(details=dict(metadata)))


def find_subject(connection: Connection, name: str) -> int:
    """The id of a subject, in the caller's transaction.

    Raises:
        UsageError: If nobody has this name; the message gives the nearest ones.
    """
    stored = subject_name(name)
    found = connection.scalar(select(SUBJECTS.c.id).where(SUBJECTS.c.name == stored))
    if found is None:
        raise unknown_subject(stored, connection.scalars(select(SUBJECTS.c.name).order_by(SUBJECTS.c.name)))
    return found
