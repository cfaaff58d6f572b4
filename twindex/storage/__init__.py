"""The metadata store: SQLite through SQLAlchemy. `Store` is the way in; the rest are the values it speaks in."""

from twindex.storage.consistency import Inconsistency
from twindex.storage.contents import Contents
from twindex.storage.enrolment import CONSENT_REQUIRED
from twindex.storage.journal import APPLICATION_ID
from twindex.storage.names import MAX_NAME_LENGTH, subject_name
from twindex.storage.receipts import AuditRow, Erasure, ExpiredReference
from twindex.storage.records import (
    Change,
    ChangeKind,
    Damage,
    Enrolment,
    EnrolmentRequest,
    EnrolmentStatus,
    GalleryRecord,
    Generation,
    GenerationSpec,
    GenerationState,
    ItemStatus,
    Job,
    JobItem,
    JobState,
    KeptCrop,
    NewItem,
    Recall,
    ReferenceRecord,
    Snapshot,
    StoredThreshold,
    SubjectDetail,
    SubjectSummary,
    TemplateKey,
)
from twindex.storage.store import Store

__all__ = [
    "APPLICATION_ID",
    "CONSENT_REQUIRED",
    "MAX_NAME_LENGTH",
    "AuditRow",
    "Change",
    "ChangeKind",
    "Contents",
    "Damage",
    "Enrolment",
    "EnrolmentRequest",
    "EnrolmentStatus",
    "Erasure",
    "ExpiredReference",
    "GalleryRecord",
    "Generation",
    "GenerationSpec",
    "GenerationState",
    "Inconsistency",
    "ItemStatus",
    "Job",
    "JobItem",
    "JobState",
    "KeptCrop",
    "NewItem",
    "Recall",
    "ReferenceRecord",
    "Snapshot",
    "Store",
    "StoredThreshold",
    "SubjectDetail",
    "SubjectSummary",
    "TemplateKey",
    "subject_name",
]
