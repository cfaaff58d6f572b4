"""What erasing and the audit give back: immutable values, free of SQLAlchemy."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class AuditRow:
    """One act.

    Attributes:
        id: Its number, ascending with time.
        time: When it was committed, UTC.
        actor: The operating system's name of whoever did it.
        action: What was done, one word.
        subjects: Ids of the subjects that it was done to.
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
    """What one transaction has erased.

    Attributes:
        subjects: Names of those who are gone.
        references: Ids that are gone.
        samples: How many captured faces went with them; a face that another subject shares stays.
        pending: True while the write-ahead log may still hold erased bytes because somebody reads it.
        record: Id of its row in the audit, which says that the erasure is not verified yet.
        remains: The templates and crops that must be in no file any more; kept in memory only, to look for them.
    """

    subjects: tuple[str, ...]
    references: tuple[int, ...]
    samples: int
    pending: bool
    record: int = field(compare=False)
    remains: tuple[bytes, ...] = field(compare=False, repr=False)


@dataclass(frozen=True)
class ExpiredReference:
    """A reference that has expired and answers no query."""

    reference: int
    subject: str
    expires: datetime
