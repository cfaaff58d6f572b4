"""From what somebody asks to enrol to a job, and from the job to its report."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twindex.embedder.faces.reader import FaceReader
from twindex.errors import UsageError
from twindex.gallery.service import Gallery
from twindex.jobs import enroll
from twindex.jobs.capture import DETECTED, Reading
from twindex.jobs.enroll import Listener, plan_job, settled_items
from twindex.jobs.plan import PlannedPhoto, plan_manifest, plan_paths
from twindex.jobs.reports import EnrolmentReport, ItemReport
from twindex.storage import CONSENT_REQUIRED, Job, subject_name
from twindex.storage.values.terms import NO_TERMS, Terms

Started = Callable[[int], None]  # told how many photos a job has, before the first


@dataclass(frozen=True)
class EnrolmentPlan:
    """A checked request: nothing in it can be refused before a photo is read.

    Attributes:
        photos: What to enrol, at least one.
        request: SHA-256, hex, of what was asked, by which the same request finds its unfinished job. It is a digest
            because names must not outlive their erasure.
        reading: How the photos are read.
    """

    photos: tuple[PlannedPhoto, ...]
    request: str
    reading: Reading

    def parameters(self) -> dict[str, Any]:
        """Of the job, as the database keeps them."""
        face = {} if self.reading.face is None else {"face": self.reading.face}
        return {"request": self.request, "pre_cropped": self.reading.pre_cropped, **face}


def plan_photos(
    paths: Sequence[Path], subject: str | None = None, terms: Terms = NO_TERMS, reading: Reading = DETECTED
) -> EnrolmentPlan:
    """A plan of photos and folders, as `plan_paths` takes them.

    Raises:
        UsageError: There are no photos, or a subject is missing or cannot be stored.
    """
    return _plan(plan_paths(list(paths), subject, terms), list(paths), subject, terms, reading)


def plan_listed(manifest: Path, terms: Terms = NO_TERMS, reading: Reading = DETECTED) -> EnrolmentPlan:
    """A plan of a manifest's photos, as `plan_manifest` reads them.

    Raises:
        UsageError: The manifest is not one, or lists no photos.
    """
    return _plan(plan_manifest(manifest, terms), [manifest], None, terms, reading)


def run_plan(
    gallery: Gallery, reader: FaceReader, plan: EnrolmentPlan, listener: Listener, started: Started
) -> EnrolmentReport:
    """Carry out a plan as a job, which an interrupted one of the same request is.

    Args:
        gallery: Where to enrol.
        reader: Finds and aligns faces for several threads.
        plan: What to enrol.
        listener: Told of every photo, in order, those first that an interrupted run has settled.
        started: Told how many photos that will be.

    Raises:
        UsageError: The gallery requires a consent, and no photo has one.
    """
    if gallery.store.gallery().consent_required and not any(photo.terms.consent for photo in plan.photos):
        raise UsageError(f"Nothing was enrolled. {CONSENT_REQUIRED}.")
    return run_enrolment(gallery, reader, plan_job(gallery, plan.photos, plan.parameters()), listener, started)


def run_enrolment(
    gallery: Gallery, reader: FaceReader, job: Job, listener: Listener, started: Started
) -> EnrolmentReport:
    """Run or resume an enrolment job; the report is of the whole job. For the arguments see `run_plan`."""
    items: list[ItemReport] = []

    def listen(report: ItemReport) -> None:
        items.append(report)
        listener(report)

    settled = list(settled_items(gallery, job))
    started(len(settled) + gallery.store.jobs.counts(job.id).get("pending", 0))
    for report in settled:
        listen(report)
    enroll.run_job(gallery, job, reader, listen)
    return EnrolmentReport(tuple(items), job.id)


def _plan(
    photos: Iterator[PlannedPhoto], asked: list[Path], subject: str | None, terms: Terms, reading: Reading
) -> EnrolmentPlan:
    planned = tuple(photos)
    if not planned:
        raise UsageError("No photos found. In folders, photos are recognised by their suffix (.jpg, .png, ...).")
    for name in {photo.subject for photo in planned}:
        subject_name(name)
    return EnrolmentPlan(planned, _digest([str(path.resolve()) for path in asked], subject, terms), reading)


def _digest(paths: list[str], subject: str | None, terms: Terms) -> str:
    asked = [paths, subject, *([terms.consent, str(terms.expires)] if terms.given else [])]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
