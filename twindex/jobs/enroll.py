"""The batch enrolment job: photos in, references out, a status for each photo, resumable at any moment."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import read_photo, source_digest
from twindex.errors import IntegrityError, PhotoError, UsageError
from twindex.gallery.service import Embedded, Gallery
from twindex.jobs.plan import PlannedPhoto
from twindex.running.pipeline import READERS, batched, run_pipeline
from twindex.storage import CONSENT_REQUIRED, EnrolmentStatus, Job, JobItem, NewItem, ReferenceRecord, subject_name
from twindex.types import Sample

KIND = "enroll"
BATCH = 16
ALREADY_ENROLLED = "already_enrolled"
EXPIRED = "expired: enrolled before, but answers no query any more; renew it with --expires, or purge it first"
READ_OTHERWISE = (
    "read_otherwise: enrolled before with --pre-cropped where it is not given now, or without where it is; erase the "
    "subject first to have it read anew"
)
_PAGE = 1_000
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


Listener = Callable[[ItemReport], None]


_OUTCOMES: dict[EnrolmentStatus, tuple[ItemOutcome, str | None]] = {
    "enrolled": ("enrolled", None),
    "consent_required": ("failed", CONSENT_REQUIRED),
}


@dataclass(frozen=True, eq=False)
class _Captured:
    item: JobItem
    sample: Sample | None
    status: ItemOutcome
    reason: str | None = None
    reference: int | None = None


@dataclass(frozen=True, eq=False)
class _Batch:
    captured: list[_Captured]
    embedded: Embedded | None


def plan_job(gallery: Gallery, photos: Collection[PlannedPhoto], parameters: dict[str, Any]) -> Job:
    """The unfinished job of the same parameters, or a new one, with every planned photo as an item.

    An unfinished one follows the plan: what has failed is tried again, and what is not planned any more (a row that was
    taken out of a manifest, or corrected) is not enrolled.
    """
    job = gallery.store.jobs.find_unfinished(KIND, parameters)
    if job is None:
        job = gallery.store.jobs.create(KIND, parameters)
    else:
        gallery.store.jobs.keep_only(job.id, {(photo.path, subject_name(photo.subject)) for photo in photos})
    for page in batched(photos, _PAGE):
        gallery.store.jobs.add_items(job.id, [NewItem(photo.path, photo.subject, photo.terms) for photo in page])
    return job


def settled_items(gallery: Gallery, job: Job) -> Iterator[ItemReport]:
    """A job's items that an interrupted run has settled, as the next run sees them: what is enrolled is skipped.

    Those whose subject was erased since are left out.
    """
    for item in gallery.store.jobs.settled(job.id):
        if not item.subject:
            continue
        if item.status == "failed":
            yield ItemReport(item.path, item.subject, "failed", item.reason, item.reference)
        else:
            yield ItemReport(item.path, item.subject, "skipped", item.reason or ALREADY_ENROLLED, item.reference)


def run_job(gallery: Gallery, job: Job, reader: FaceReader, listener: Listener) -> None:
    """Work through a job's pending items; what is committed stays whatever happens next.

    Args:
        job: Parameter `pre_cropped` tells how its photos are read.
        listener: Told of every item, in order.
    """
    gallery.embedder(gallery.active().fingerprint)
    pre_cropped = bool(job.parameters.get("pre_cropped", False))

    def read(item: JobItem) -> _Captured:
        return _capture(gallery, reader, item, pre_cropped=pre_cropped)

    def embed(batch: list[_Captured]) -> _Batch:
        samples = [one.sample for one in batch if one.sample is not None]
        return _Batch(batch, gallery.embed(samples, gallery.active().fingerprint) if samples else None)

    def commit(batch: _Batch) -> None:
        for report in _commit(gallery, batch):
            listener(report)

    state: Literal["finished", "interrupted"] = "interrupted"
    gallery.store.jobs.set_state(job.id, "running")
    try:
        run_pipeline(_pending(gallery, job), read, embed, commit, readers=READERS, batch=BATCH)
        state = "finished"
    finally:
        gallery.store.jobs.set_state(job.id, state)
    gallery.compact_when_behind()


def _pending(gallery: Gallery, job: Job) -> Iterator[JobItem]:
    after = 0
    while page := gallery.store.jobs.pending(job.id, after, _PAGE):
        yield from page
        after = page[-1].id


def _capture(gallery: Gallery, reader: FaceReader, item: JobItem, *, pre_cropped: bool) -> _Captured:
    try:
        data = read_photo(Path(item.path))
    except PhotoError as error:
        return _Captured(item, None, "failed", f"{error.code}: {error}")
    known = gallery.store.references.find(source_digest(data), item.subject)
    if known and _has_sound_crop(gallery, known[0].reference):
        return _Captured(item, None, "skipped", _why_skipped(known[0], item, pre_cropped), known[0].reference)
    try:
        sample = reader.samples(data, item.path, pre_cropped=pre_cropped)[0]
    except PhotoError as error:
        return _Captured(item, None, "failed", f"{error.code}: {error}")
    return _Captured(item, sample, "enrolled")


def _why_skipped(known: ReferenceRecord, item: JobItem, pre_cropped: bool) -> str:
    if known.terms.expired(datetime.now(UTC)) and item.terms.expires is None:
        return EXPIRED
    # Only a photo that is searched for faces has one with a place in it.
    return ALREADY_ENROLLED if (known.face is None) is pre_cropped else READ_OTHERWISE


def _has_sound_crop(gallery: Gallery, reference: int) -> bool:
    """Whether a reference's crop need not be replaced; a reference that was erased meanwhile is not there."""
    try:
        gallery.store.references.crop(reference)
    except (IntegrityError, UsageError):
        return False
    return True


def _commit(gallery: Gallery, batch: _Batch) -> Iterator[ItemReport]:
    captured = [(one.item, one.sample) for one in batch.captured if one.sample is not None]
    requests = [(sample, item.subject, item.id) for item, sample in captured]
    enrolments = iter(gallery.enroll(requests, batch.embedded) if requests else [])
    others = [one for one in batch.captured if one.sample is None]
    gallery.store.jobs.finish_items([(one.item.id, one.status, one.reason, one.reference) for one in others])
    renewed = {one.reference: one.item.terms for one in others if one.reference is not None and one.item.terms.given}
    if renewed:
        gallery.store.references.renew(renewed)
    for one in batch.captured:
        path, subject = one.item.path, one.item.subject
        if one.sample is None:
            yield ItemReport(path, subject, one.status, one.reason, one.reference)
            continue
        done = next(enrolments)
        status, reason = _OUTCOMES.get(done.status, ("skipped", done.status))
        rivals = one.sample.rivals if status == "enrolled" else 0
        yield ItemReport(path, subject, status, reason, done.reference, done.collisions, rivals)
