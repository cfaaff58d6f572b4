"""What the store gives back and takes: immutable values, free of SQLAlchemy."""

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
        probability: From here on a candidate is a match.
        target_fpir: The rate of false positive identifications that was asked for.
        gallery_size: References the gallery had when it was set.
        fingerprint: The model it holds for.
        method: How it was found.
        report: What was measured, JSON values only.
    """

    probability: float
    target_fpir: float
    gallery_size: int
    fingerprint: str
    method: str
    report: dict[str, Any]


@dataclass(frozen=True)
class GalleryRecord:
    """What the gallery says of itself."""

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
        job_item: The item of a batch job that this settles. What the item says by then counts, its terms too: its
            subject may have been renamed, merged or erased since the request was made.
        terms: Those of the reference, where there is no job item.
    """

    sample: Sample
    subject: str
    vector: Float32
    job_item: int | None = None
    terms: Terms = NO_TERMS


@dataclass(frozen=True)
class Enrolment:
    """What an enrolment did.

    Attributes:
        reference: Id of the reference, new or found; None if nothing was enrolled.
        status: `already_enrolled` if reference and template were there before; `withdrawn` if the job's item was no
            longer to be done, because its subject has been erased or another process has dealt with it;
            `consent_required` if the gallery demands a consent and none was named.
        collisions: Names of other subjects that hold a face of the same photo.
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
    """A reference that needs a template, with the crop to make it from if the gallery keeps crops."""

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
    """A subject and how many references speak for it."""

    subject: str
    references: int
    created: datetime


@dataclass(frozen=True)
class SubjectDetail:
    """All that is known of a subject, vectors and crops apart; the id is what the audit calls it."""

    id: int
    subject: str
    metadata: dict[str, Any]
    created: datetime
    references: tuple[ReferenceRecord, ...]


@dataclass(frozen=True)
class Recall:
    """What an approximate index keeps of exact search, measured on the gallery itself.

    Attributes:
        structure: Of the index, as a factory string.
        references: That it held.
        candidates: How many nearest references to ask the index for.
        share: Of the probes whose exact nearest reference is among those candidates.
        probes: How many were searched.
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
        length: In bytes.
        sha256: Of it, hex.
        revision: The last change that it has seen.
        count: References that it holds.
        recall: What it keeps of exact search, where it is approximate and was measured.
    """

    file: str
    length: int
    sha256: str
    revision: int
    count: int
    recall: Recall | None = None


@dataclass(frozen=True)
class TemplateKey:
    """Which template: that of a reference under a model."""

    reference: int
    fingerprint: str


@dataclass(frozen=True)
class Damage:
    """Something that is wrong with the database.

    Attributes:
        text: One sentence for people.
        template: The template that is damaged, if it is one.
        code: What is damaged.
    """

    text: str
    template: TemplateKey | None = None
    code: DamageCode = "database"


@dataclass(frozen=True)
class GenerationSpec:
    """What a generation is made of: the model whose templates it holds, and the kind of index."""

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
    """One file of a job; path and subject are empty, and the terms gone, once the subject is erased."""

    id: int
    job: int
    path: str
    subject: str
    status: ItemStatus
    reason: str | None
    reference: int | None
    terms: Terms = NO_TERMS


class NewItem(NamedTuple):
    """A file that a job is to deal with."""

    path: str
    subject: str
    terms: Terms = NO_TERMS
