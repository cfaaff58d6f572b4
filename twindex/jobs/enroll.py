"""The batch enrolment job: photos in, references out, a status for each photo, resumable at any moment."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.source import PhotoSource, source_name
from twindex.gallery.captures import Capture, Embedded
from twindex.gallery.service import Gallery
from twindex.jobs.capture import ALREADY_ENROLLED, Captured, Reading, capture
from twindex.jobs.plan import PlannedPhoto
from twindex.jobs.reports import ItemOutcome, ItemReport
from twindex.running.pipeline import READERS, batched, run_pipeline
from twindex.storage import CONSENT_REQUIRED, Enrolment, EnrolmentStatus, Job, JobItem, NewItem, subject_name
from twindex.storage.values.terms import Terms

KIND = "enroll"
BATCH = 16
_PAGE = 1_000

Listener = Callable[[ItemReport], None]


_OUTCOMES: dict[EnrolmentStatus, tuple[ItemOutcome, str | None]] = {
    "enrolled": ("enrolled", None),
    "consent_required": ("failed", CONSENT_REQUIRED),
}


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
        job: Its parameters `pre_cropped` and `face` say how photos are read.
        listener: Told of every item, in order.
    """
    gallery.embedder(gallery.active().fingerprint)
    work = _Work(gallery, job, reader, listener)
    state: Literal["finished", "interrupted"] = "interrupted"
    gallery.store.jobs.set_state(job.id, "running")
    try:
        run_pipeline(work.pending(), work.read, work.embed, work.commit, readers=READERS, batch=BATCH)
        state = "finished"
    finally:
        gallery.store.jobs.set_state(job.id, state)
    gallery.compact_when_behind()


def enroll_photo(
    gallery: Gallery, reader: FaceReader, photo: PhotoSource, subject: str, terms: Terms, reading: Reading
) -> ItemReport:
    """Enrol one photo without a job, durable and searchable on return."""
    name, stored = source_name(photo), subject_name(subject)
    captured = capture(gallery, reader, photo, name, stored, terms, reading)
    if captured.sample is not None:
        (done,) = gallery.commit([Capture(captured.sample, stored, terms)])
        return _reported(name, stored, captured, done)
    if captured.reference is not None and terms.given:
        gallery.store.references.renew({captured.reference: terms})
    return ItemReport(name, stored, captured.status, captured.reason, captured.reference)


@dataclass(frozen=True, eq=False)
class _Read:
    item: JobItem
    captured: Captured


@dataclass(frozen=True, eq=False)
class _Batch:
    read: list[_Read]
    embedded: Embedded | None


class _Work:
    """One job's stages: a page of items is read, embedded and committed, each stage in threads of its own."""

    def __init__(self, gallery: Gallery, job: Job, reader: FaceReader, listener: Listener) -> None:
        self._gallery = gallery
        self._job = job
        self._reader = reader
        self._listener = listener
        self._reading = Reading(bool(job.parameters.get("pre_cropped", False)), job.parameters.get("face"))

    def pending(self) -> Iterator[JobItem]:
        after = 0
        while page := self._gallery.store.jobs.pending(self._job.id, after, _PAGE):
            yield from page
            after = page[-1].id

    def read(self, item: JobItem) -> _Read:
        photo = Path(item.path)
        captured = capture(self._gallery, self._reader, photo, item.path, item.subject, item.terms, self._reading)
        return _Read(item, captured)

    def embed(self, batch: list[_Read]) -> _Batch:
        samples = [one.captured.sample for one in batch if one.captured.sample is not None]
        fingerprint = self._gallery.active().fingerprint
        return _Batch(batch, self._gallery.embed(samples, fingerprint) if samples else None)

    def commit(self, batch: _Batch) -> None:
        for report in self._committed(batch):
            self._listener(report)

    def _committed(self, batch: _Batch) -> Iterator[ItemReport]:
        captures = [
            Capture(one.captured.sample, one.item.subject, item=one.item.id)
            for one in batch.read
            if one.captured.sample is not None
        ]
        enrolments = iter(self._gallery.commit(captures, batch.embedded) if captures else [])
        self._settle([one for one in batch.read if one.captured.sample is None])
        for one in batch.read:
            path, subject, captured = one.item.path, one.item.subject, one.captured
            if captured.sample is None:
                yield ItemReport(path, subject, captured.status, captured.reason, captured.reference)
            else:
                yield _reported(path, subject, captured, next(enrolments))

    def _settle(self, others: list[_Read]) -> None:
        """Record what became of photos that are not enrolled now, and renew the terms of those that were before."""
        store = self._gallery.store
        store.jobs.finish_items(
            [(one.item.id, one.captured.status, one.captured.reason, one.captured.reference) for one in others]
        )
        renewed = {
            one.captured.reference: one.item.terms
            for one in others
            if one.captured.reference is not None and one.item.terms.given
        }
        if renewed:
            store.references.renew(renewed)


def _reported(path: str, subject: str, captured: Captured, done: Enrolment) -> ItemReport:
    """The report of a photo whose face was given to the store."""
    status, reason = _OUTCOMES.get(done.status, ("skipped", done.status))
    rivals = captured.sample.rivals if captured.sample is not None and status == "enrolled" else 0
    return ItemReport(path, subject, status, reason, done.reference, done.collisions, rivals)
