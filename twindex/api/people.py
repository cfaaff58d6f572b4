"""What a gallery offers about the people enrolled in it, and about its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twindex.gallery.erasing import Receipt
    from twindex.gallery.service import Gallery as Service
    from twindex.storage import Job, JobItem, ReferenceRecord, SubjectDetail, SubjectSummary


class People:
    """The part of `twindex.Gallery` that is about people."""

    service: Service

    def erase(self, subject: str) -> Receipt:
        """Erase a person, and look for what was erased in every file of the gallery.

        Returns:
            The receipt: what was erased, and whether every file is free of it.

        Raises:
            UsageError: Nobody has this name.

        Example:
            >>> gallery.erase("ben").result
            'erased'
        """
        return self.service.erase(subject)

    def purge(self) -> list[Receipt]:
        """Erase every reference that has expired, as `erase` does."""
        return self.service.purge(datetime.now(UTC))

    def subjects(self) -> list[SubjectSummary]:
        """The enrolled, by name, each with the number of their references."""
        return self.service.store.subjects.list()

    def subject(self, name: str) -> SubjectDetail:
        """All that is known of a person.

        Raises:
            UsageError: Nobody has this name.
        """
        return self.service.store.subjects.show(name)

    def references(self, subject: str) -> tuple[ReferenceRecord, ...]:
        """A person's enrolled faces.

        Raises:
            UsageError: Nobody has this name.
        """
        return self.subject(subject).references

    def rename(self, subject: str, new_name: str) -> None:
        """Give a person another name.

        Raises:
            UsageError: Nobody has this name, or the new one is taken or cannot be stored.
        """
        self.service.store.subjects.rename(subject, new_name)

    def merge(self, source: str, target: str) -> int:
        """Make one person of two: the source's references become the target's.

        Returns:
            How many references were moved.

        Raises:
            UsageError: Nobody has one of the names.
        """
        return self.service.store.subjects.merge(source, target)

    def annotate(self, subject: str, entries: Mapping[str, str | None]) -> dict[str, Any]:
        """Set entries of a person's free metadata, or remove those that are None.

        Returns:
            All the person's metadata now.

        Raises:
            UsageError: Nobody has this name.
        """
        return self.service.store.subjects.annotate(subject, entries)

    def jobs(self) -> list[Job]:
        """Every batch job, oldest first."""
        return self.service.store.jobs.list()

    def job_items(self, job: int) -> Iterable[JobItem]:
        """What became of each photo of a job.

        Raises:
            UsageError: There is no such job.
        """
        self.service.store.jobs.get(job)
        return self.service.store.jobs.items(job)
