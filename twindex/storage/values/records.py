"""What the store takes and returns: immutable values, free of SQLAlchemy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twindex.storage.values.terms import NO_TERMS, Terms
from twindex.types import Face, Sample

if TYPE_CHECKING:
    from twindex.types import Float32

ChangeKind = Literal["enrolled", "erased"]
EnrolmentStatus = Literal["enrolled", "already_enrolled", "withdrawn", "consent_required"]
GenerationState = Literal["building", "active", "retired"]
JobState = Literal["running", "finished", "interrupted", "failed"]
DamageCode = Literal["database", "template", "crop"]
ItemStatus = Literal["pending", "enrolled", "skipped", "failed"]


@dataclass(frozen=True)
class StoredThreshold:
    """The operating point of a gallery.

    Attributes:
        probability: The lowest probability at which a candidate is a match.
        target_fpir: The requested rate of false positive identifications.
        gallery_size: How many references the gallery had when the threshold was set.
        fingerprint: The model it was set for.
        method: How it was found.
        report: The measurements behind it, JSON values only.
    """

    probability: float
    target_fpir: float
    gallery_size: int
    fingerprint: str
    method: str
    report: dict[str, Any]


@dataclass(frozen=True)
class GalleryRecord:
    """A gallery's own record: its id, settings and threshold."""

    gallery_id: str
    keep_crops: bool
    created: datetime
    threshold: StoredThreshold | None
    consent_required: bool = False


@dataclass(frozen=True, eq=False)
class EnrolmentRequest:
    """One face to enrol.

    Attributes:
        sample: The captured face.
        subject: Whose it is.
        vector: (dim,) float32, unit length.
        job_item: The item of a batch job that this settles. The item's subject and terms at that time apply, because
            the subject may have been renamed, merged or erased since the request was made.
        terms: The reference's terms if there is no job item.
    """

    sample: Sample
    subject: str
    vector: Float32
    job_item: int | None = None
    terms: Terms = NO_TERMS


@dataclass(frozen=True)
class Enrolment:
    """The result of an enrolment.

    Attributes:
        reference: Id of the reference, new or existing; None if nothing was enrolled.
        status: `already_enrolled` if reference and template existed before; `withdrawn` if the job's item was no longer
            pending, because its subject was erased or another process has settled it; `consent_required` if the
            gallery demands a consent and none was given.
        collisions: Names of other subjects with a face in the same photo.
    """

    reference: int | None
    status: EnrolmentStatus
    collisions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ReferenceRecord:
    """A reference without its vectors and crop."""

    reference: int
    subject: str
    source_name: str
    source_sha256: str
    face_index: int
    face: Face | None
    quality: float
    enrolled: datetime
    has_crop: bool
    terms: Terms = NO_TERMS


@dataclass(frozen=True)
class KeptCrop:
    """A reference that needs a template, and the crop to make it from if the gallery keeps crops."""

    reference: int
    crop: bytes | None


@dataclass(frozen=True)
class Change:
    """An entry of the log that an index replays."""

    revision: int
    kind: ChangeKind
    reference: int


@dataclass(frozen=True)
class SubjectSummary:
    """A subject and the number of its references."""

    subject: str
    references: int
    created: datetime


@dataclass(frozen=True)
class SubjectDetail:
    """Everything known about a subject except vectors and crops; the audit refers to the subject by its id."""

    id: int
    subject: str
    metadata: dict[str, Any]
    created: datetime
    references: tuple[ReferenceRecord, ...]


@dataclass(frozen=True)
class Recall:
    """How often an approximate index finds what exact search finds, measured on the gallery itself.

    Attributes:
        structure: The index's structure, as a factory string.
        references: How many references it held.
        candidates: How many nearest references to ask the index for.
        share: Share of probes whose exact nearest reference is among those candidates.
        probes: How many probes were searched.
    """

    structure: str
    references: int
    candidates: int
    share: float
    probes: int


@dataclass(frozen=True)
class Snapshot:
    """An index file.

    Attributes:
        file: Its name.
        length: Its length in bytes.
        sha256: Its SHA-256 in hex digits.
        revision: The last change that it includes.
        count: How many references it holds.
        recall: The measured recall of an approximate index; None if it is exact or was not measured.
    """

    file: str
    length: int
    sha256: str
    revision: int
    count: int
    recall: Recall | None = None


@dataclass(frozen=True)
class TemplateKey:
    """Identifies a template: the reference it belongs to and the model that made it."""

    reference: int
    fingerprint: str


@dataclass(frozen=True)
class Damage:
    """Damage to the database.

    Attributes:
        text: One sentence for people.
        template: The damaged template, if the damage is to a template.
        code: What is damaged.
    """

    text: str
    template: TemplateKey | None = None
    code: DamageCode = "database"


@dataclass(frozen=True)
class GenerationSpec:
    """What defines a generation: the model whose templates it holds, and the kind of index."""

    fingerprint: str
    index_spec: str


@dataclass(frozen=True)
class Generation:
    """A searchable index of one model."""

    id: int
    fingerprint: str
    index_spec: str
    state: GenerationState
    created: datetime
    activated: datetime | None
    snapshot: Snapshot | None


@dataclass(frozen=True)
class Job:
    """A batch job."""

    id: int
    kind: str
    parameters: dict[str, Any]
    state: JobState
    created: datetime
    finished: datetime | None


@dataclass(frozen=True)
class JobItem:
    """One file of a job. Once the subject is erased, path and subject are empty and the terms are gone."""

    id: int
    job: int
    path: str
    subject: str
    status: ItemStatus
    reason: str | None
    reference: int | None
    terms: Terms = NO_TERMS


class NewItem(NamedTuple):
    """A file for a job to process."""

    path: str
    subject: str
    terms: Terms = NO_TERMS
