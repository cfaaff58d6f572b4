"""What erasing and the audit return: immutable values, free of SQLAlchemy."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class AuditRow:
    """One recorded act.

    Attributes:
        id: Its number; later acts have higher ones.
        time: When it was committed, UTC.
        actor: The operating-system user who did it.
        action: What was done, in one word.
        subjects: Ids of the subjects it concerns.
        details: Counts, ids and settings.
    """

    id: int
    time: datetime
    actor: str
    action: str
    subjects: tuple[int, ...]
    details: dict[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", tuple(self.subjects))

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "time": self.time.isoformat(), "subjects": list(self.subjects)}


@dataclass(frozen=True)
class Erasure:
    """What one transaction erased.

    Attributes:
        subjects: Names of the erased subjects.
        references: Ids of the erased references.
        samples: How many captured faces were erased with them; a face shared with another subject stays.
        pending: True while the write-ahead log may still hold erased bytes because another process reads it.
        record: Id of the erasure's row in the audit, which counts as unverified at first.
        remains: The erased templates and crops, which no file may hold any more; kept only in memory, to search for.
    """

    subjects: tuple[str, ...]
    references: tuple[int, ...]
    samples: int
    pending: bool
    record: int = field(compare=False)
    remains: tuple[bytes, ...] = field(compare=False, repr=False)


@dataclass(frozen=True)
class ExpiredReference:
    """A reference that has expired and is no longer found by queries."""

    reference: int
    subject: str
    expires: datetime
