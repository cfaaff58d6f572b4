"""A gallery as Python programs use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twindex.api.faces import embedded
from twindex.api.loading import Loading
from twindex.api.people import People
from twindex.api.upkeep import Upkeep, ignore
from twindex.config import TOP
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.embedder.embedder import Embedder
    from twindex.embedder.faces.reader import FaceReader
    from twindex.embedder.photos.source import PhotoSource
    from twindex.encryption.keys import GalleryKey
    from twindex.gallery.answers import ProbeAnswer
    from twindex.gallery.service import Gallery as Service
    from twindex.gallery.verification import Verification
    from twindex.jobs.capture import Reading
    from twindex.jobs.enroll import Listener
    from twindex.jobs.enrolment import EnrolmentPlan
    from twindex.jobs.reports import EnrolmentReport
    from twindex.storage.values.terms import Terms
    from twindex.types import Float32

GalleryPath = str | os.PathLike[str]


class Gallery(People, Upkeep):
    """Enrolled people, and who is in a photo. Made by `twindex.open`; any number of threads may use one.

    Attributes:
        service: The layer below, for what is not offered here.
        key: That the gallery was opened with; None takes the environment's, if it is encrypted.
    """

    def __init__(self, service: Service, loading: Loading | None = None, key: GalleryKey | None = None) -> None:
        self.service = service
        self.key = key
        self._loading = loading
        self._reading = threading.Lock()
        self._batch_reader: FaceReader | None = None

    @property
    def folder(self) -> Path:
        """Where the gallery lies."""
        return self.service.folder

    def close(self) -> None:
        """Close the database. Closing twice is harmless."""
        if self._loading is not None:
            self._loading.close()
        self.service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self) -> None:
        """Load the gallery's model and index in the background, so that the first question waits for less."""
        if self._loading is not None:
            self._loading.model(self._embedder().prepare)
        import_module("twindex.gallery.search.candidates")  # FAISS, while the detector loads

    def enroll(
        self,
        photos: PhotoSource | list[GalleryPath] | tuple[GalleryPath, ...],
        subject: str | None = None,
        *,
        face: int | None = None,
        consent: str | None = None,
        expires: str | date | None = None,
        pre_cropped: bool = False,
        listener: Listener | None = None,
    ) -> EnrolmentReport:
        """Enrol people from photos; what was enrolled before is skipped, and a bad photo never stops the others.

        Args:
            photos: A photo (path, bytes, or pixels (height, width, 3) uint8 RGB), or one or several paths of photos and
                folders. Without `subject`, folders with one sub-folder per subject.
            subject: Whom all the photos show.
            face: Which of a photo's faces is meant, from 1, in the order of `identify(..., all_faces=True)`; by default
                the most prominent one.
            consent: Where the consent is documented; kept with every reference.
            expires: From this moment the references answer no query: a date (its first moment, UTC), a time, or ISO
                8601.
            pre_cropped: Each photo is one aligned face; nothing is searched for.
            listener: Called with each photo's report as soon as it is settled.

        Returns:
            What became of each photo.

        Raises:
            UsageError: There are no photos, a subject is missing or cannot be stored, or a consent is required.

        Example:
            >>> report = gallery.enroll("selfie.jpg", subject="Zoë")
            >>> report.enrolled, report.failed
            (1, 0)
        """
        from twindex.jobs.capture import Reading
        from twindex.jobs.enrolment import plan_photos

        terms, reading = _terms(consent, expires), Reading(pre_cropped, face)
        if isinstance(photos, str | os.PathLike):
            return self.run(plan_photos([Path(photos)], subject, terms, reading), listener)
        if isinstance(photos, list | tuple):
            return self.run(plan_photos([Path(photo) for photo in photos], subject, terms, reading), listener)
        return self._enroll_photo(photos, subject, terms, reading, listener)

    def enroll_manifest(
        self,
        manifest: GalleryPath,
        *,
        consent: str | None = None,
        expires: str | date | None = None,
        pre_cropped: bool = False,
        listener: Listener | None = None,
    ) -> EnrolmentReport:
        """Enrol the photos that a CSV file lists: columns path and subject, perhaps consent and expires.

        The arguments are those of `enroll`; `consent` and `expires` stand in where a row has none.

        Raises:
            UsageError: The file is not such a manifest, or a consent is required.
        """
        from twindex.jobs.capture import Reading
        from twindex.jobs.enrolment import plan_listed

        return self.run(plan_listed(Path(manifest), _terms(consent, expires), Reading(pre_cropped)), listener)

    def run(
        self, plan: EnrolmentPlan, listener: Listener | None = None, started: Callable[[int], None] | None = None
    ) -> EnrolmentReport:
        """Enrol what was planned (`twindex.jobs.enrolment`).

        Args:
            plan: What to enrol.
            listener: Called with each photo's report as soon as it is settled.
            started: Called before the first photo with the number of photos.
        """
        from twindex.jobs.enrolment import run_plan

        return run_plan(self.service, self.batch_reader, plan, listener or ignore, started or ignore)

    def resume(
        self, job: int, listener: Listener | None = None, started: Callable[[int], None] | None = None
    ) -> EnrolmentReport:
        """Go on with an interrupted enrolment; the arguments are those of `run`.

        Raises:
            UsageError: There is no such job, or it is not an enrolment.
        """
        from twindex.jobs.enroll import KIND
        from twindex.jobs.enrolment import run_enrolment

        found = self.service.store.jobs.get(job)
        if found.kind != KIND:
            raise UsageError(f"Job {job} is not an enrolment but a {found.kind}; start it again as it was started.")
        return run_enrolment(self.service, self.batch_reader, found, listener or ignore, started or ignore)

    def identify(
        self, photo: PhotoSource, *, all_faces: bool = False, top: int = TOP, pre_cropped: bool = False
    ) -> ProbeAnswer:
        """Who is in a photo: the nearest people, and a match or "unknown".

        Args:
            photo: A path, bytes, or pixels (height, width, 3) uint8 RGB.
            all_faces: Every usable face instead of the most prominent one.
            top: Longest candidate list wanted.
            pre_cropped: The photo is one aligned face; nothing is searched for.

        Returns:
            The answer. A photo without a usable face is no exception: `error` says why, and `faces` is empty.

        Raises:
            UsageError: The gallery has no active index.
            ModelMismatchError: The gallery's model is not installed.

        Example:
            >>> answer = gallery.identify("party.jpg", all_faces=True)
            >>> sorted(face.subject or "unknown" for face in answer.faces)
            ['ada', 'hugo', 'unknown', 'zoë']
        """
        if self._loading is not None and not pre_cropped:
            self.service.reader = self._loading.reader()
        return self.service.identify(photo, all_faces=all_faces, top=top, pre_cropped=pre_cropped)

    def verify(self, first: PhotoSource, second: PhotoSource, *, pre_cropped: bool = False) -> Verification:
        """Whether two photos show the same person, by the gallery's model; see `twindex.verify`."""
        from twindex.gallery.verification import compare

        return compare(self._embedder(), self.service.reader, first, second, pre_cropped=pre_cropped)

    def embed(self, photos: PhotoSource | Sequence[PhotoSource], *, pre_cropped: bool = False) -> Float32:
        """Templates by the gallery's model; see `twindex.embed`."""
        return embedded(self._embedder(), self.service.reader, photos, pre_cropped)

    @property
    def batch_reader(self) -> FaceReader:
        """Reads many photos at the same time, each with one core; made at first use."""
        from twindex.embedder.faces.reader import FaceReader
        from twindex.running.pipeline import READERS

        with self._reading:
            if self._batch_reader is None:
                self._batch_reader = FaceReader.of_many(READERS)
            return self._batch_reader

    def _embedder(self) -> Embedder:
        return self.service.embedder(self.service.active().fingerprint)

    def _enroll_photo(
        self, photo: PhotoSource, subject: str | None, terms: Terms, reading: Reading, listener: Listener | None
    ) -> EnrolmentReport:
        from twindex.jobs.enroll import enroll_photo
        from twindex.jobs.reports import EnrolmentReport

        if subject is None:
            raise UsageError("A photo in memory has no folder that names its subject: say whom it shows (subject=...).")
        report = enroll_photo(self.service, self.service.reader, photo, subject, terms, reading)
        if listener is not None:
            listener(report)
        return EnrolmentReport((report,))


def _terms(consent: str | None, expires: str | date | None) -> Terms:
    from twindex.storage.values.terms import parse_terms

    return parse_terms(consent, expires if isinstance(expires, str | None) else expires.isoformat(), datetime.now(UTC))
