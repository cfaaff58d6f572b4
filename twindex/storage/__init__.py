"""The metadata store: SQLite through SQLAlchemy.

`Store` is the entry point; the rest are the values it takes and returns.
"""

from twindex.storage.checks.consistency import Inconsistency
from twindex.storage.checks.summary import Summary
from twindex.storage.rows.enrolment import CONSENT_REQUIRED
from twindex.storage.sqlite.journal import APPLICATION_ID
from twindex.storage.store import Store
from twindex.storage.values.names import MAX_NAME_LENGTH, subject_name
from twindex.storage.values.receipts import AuditRow, Erasure, ExpiredReference
from twindex.storage.values.records import (
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

__all__ = [
    "APPLICATION_ID",
    "CONSENT_REQUIRED",
    "MAX_NAME_LENGTH",
    "AuditRow",
    "Change",
    "ChangeKind",
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
    "Summary",
    "TemplateKey",
    "subject_name",
]
