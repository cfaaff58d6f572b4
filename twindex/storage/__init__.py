"""The metadata store: SQLite through SQLAlchemy. `Store` is the way in; the rest are the values it speaks in."""

from twindex.storage.journal import APPLICATION_ID
from twindex.storage.names import MAX_NAME_LENGTH, subject_name
from twindex.storage.records import (
    Change,
    ChangeKind,
    Enrolment,
    EnrolmentRequest,
    EnrolmentStatus,
    Erasure,
    GalleryRecord,
    Generation,
    GenerationState,
    ItemStatus,
    Job,
    JobItem,
    JobState,
    KeptCrop,
    ReferenceRecord,
    Snapshot,
    StoredThreshold,
    SubjectDetail,
    SubjectSummary,
)
from twindex.storage.store import Store

__all__ = [
    "APPLICATION_ID",
    "MAX_NAME_LENGTH",
    "Change",
    "ChangeKind",
    "Enrolment",
    "EnrolmentRequest",
    "EnrolmentStatus",
    "Erasure",
    "GalleryRecord",
    "Generation",
    "GenerationState",
    "ItemStatus",
    "Job",
    "JobItem",
    "JobState",
    "KeptCrop",
    "ReferenceRecord",
    "Snapshot",
    "Store",
    "StoredThreshold",
    "SubjectDetail",
    "SubjectSummary",
    "subject_name",
]
