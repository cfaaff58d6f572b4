"""What became of the photos of an enrolment."""

from dataclasses import dataclass
from typing import Any, Literal

ItemOutcome = Literal["enrolled", "skipped", "failed"]


@dataclass(frozen=True)
class ItemReport:
    """What became of one photo.

    Attributes:
        path, subject: As planned.
        status: "skipped" if it was enrolled before, or was withdrawn: its subject erased, or another process had it.
        reason: Why it failed or was skipped: a stable code, then perhaps a sentence; None when enrolled.
        reference: Its id, new or found; None if there is none.
        collisions: Other subjects under whom the same photo is enrolled.
        rivals: Other faces of the photo that are at least half as large as the one that was enrolled.
    """

    path: str
    subject: str
    status: ItemOutcome
    reason: str | None
    reference: int | None
    collisions: tuple[str, ...] = ()
    rivals: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "subject": self.subject,
            "status": self.status,
            "reason": self.reason,
            "reference": self.reference,
        }


@dataclass(frozen=True)
class EnrolmentReport:
    """What became of all photos of one call.

    Attributes:
        items: One report for each photo, in order.
        job: Id of the job that keeps them; None where photos came from memory.
    """

    items: tuple[ItemReport, ...]
    job: int | None = None

    @property
    def enrolled(self) -> int:
        """How many photos were enrolled."""
        return self._count("enrolled")

    @property
    def skipped(self) -> int:
        """How many were enrolled before, or withdrawn meanwhile."""
        return self._count("skipped")

    @property
    def failed(self) -> int:
        """How many could not be enrolled; each item's reason says why."""
        return self._count("failed")

    def to_json(self) -> dict[str, Any]:
        counts = {"enrolled": self.enrolled, "skipped": self.skipped, "failed": self.failed}
        return {**counts, "items": [item.to_json() for item in self.items]}

    def _count(self, status: ItemOutcome) -> int:
        return sum(item.status == status for item in self.items)
