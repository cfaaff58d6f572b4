"""The one service class: a gallery on disk, opened for enrolling and for searching.

OpenVINO and FAISS are imported when something is embedded or searched: erasing needs neither.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twindex.config import COMPACT_AFTER, DATABASE, FUSED_SUBJECTS, SNAPSHOTS, TOP
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.registry import find_model
from twindex.embedder.photos.source import PhotoSource, photo_bytes, source_name
from twindex.encryption.keys import GalleryKey
from twindex.errors import ModelMismatchError, PhotoError, UsageError
from twindex.files.user_folders import cache_dir
from twindex.gallery.answers import FaceAnswer, ProbeAnswer
from twindex.gallery.captures import Capture, Embedded
from twindex.gallery.erasing import PURGED_AT_ONCE, Receipt, verify
from twindex.gallery.threshold.current import CurrentThreshold
from twindex.index.choice import AUTO
from twindex.scoring import decide
from twindex.storage import (
    Enrolment,
    EnrolmentRequest,
    Erasure,
    Generation,
    GenerationSpec,
    Store,
    StoredThreshold,
)
from twindex.types import Sample

if TYPE_CHECKING:
    from twindex.embedder.embedder import Embedder
    from twindex.embedder.faces.reader import FaceReader
    from twindex.gallery.search.searchable import SearchableGeneration

_log = logging.getLogger(__name__)


class Gallery:
    """A folder with the database (the truth) and snapshots of the index (which can always be thrown away).

    Any number of threads may search and enrol through one object, and several processes may use one folder.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self._opening = threading.Lock()  # of the active generation's index
        self._open: SearchableGeneration | None = None
        self._embedders: dict[str, Embedder] = {}
        self._thresholds = CurrentThreshold(store, lambda fingerprint: self.embedder(fingerprint).card)
        self._reader: FaceReader | None = None

    @classmethod
    def create(
        cls, folder: Path, model: Bundle | None = None, *, keep_crops: bool = True, key: GalleryKey | None = None
    ) -> Self:
        """Make an empty gallery for one model, the shipped one by default; encrypted if there is a key here or in the
        environment.

        Raises:
            UsageError: There is a gallery in that folder already.
        """
        bundle = model or find_model("default")
        folder.mkdir(parents=True, exist_ok=True)
        generation = GenerationSpec(bundle.card.fingerprint, AUTO)
        return cls(folder, Store.create(folder / DATABASE, keep_crops=keep_crops, generation=generation, key=key))

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False, key: GalleryKey | None = None) -> Self:
        """Open an existing gallery, with its key or the environment's if it is encrypted.

        Raises:
            UsageError: There is none.
            EncryptionKeyError: The key is missing or wrong, or there is one and the gallery is not encrypted.
            IntegrityError: Its database is damaged.
        """
        if not (folder / DATABASE).exists():
            raise UsageError(f"There is no gallery in {folder}; `twindex enroll` makes one.")
        return cls(folder, Store.open(folder / DATABASE, read_only=read_only, key=key))

    @classmethod
    def open_or_create(cls, folder: Path) -> Self:
        """Open the gallery in `folder`, or make one for the shipped model."""
        return cls.open(folder) if (folder / DATABASE).exists() else cls.create(folder)

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def snapshots(self) -> Path:
        return self.folder / SNAPSHOTS

    def active(self) -> Generation:
        """The generation that answers now."""
        generation = self.store.generations.active()
        if generation is None:
            raise UsageError("The gallery has no active index; run `twindex reindex --model default`.")
        return generation

    def embedder(self, fingerprint: str) -> Embedder:
        """The installed model with that fingerprint, kept for the next call.

        Raises:
            ModelMismatchError: It is not installed.
        """
        if fingerprint not in self._embedders:
            try:
                bundle = find_model(fingerprint)
            except UsageError as error:
                raise ModelMismatchError(
                    f"The gallery's model {fingerprint[:12]} is not installed. Install it with "
                    "`twindex models install`, or move the gallery to another model with `twindex reindex --model`."
                ) from error
            self.use(bundle)
        return self._embedders[fingerprint]

    def use(self, bundle: Bundle) -> Embedder:
        """Make a bundle's embedder known to this gallery."""
        from twindex.embedder.embedder import Embedder

        embedder = Embedder(bundle, cache=cache_dir())
        return self._embedders.setdefault(embedder.fingerprint, embedder)

    def commit(self, captures: Sequence[Capture], embedded: Embedded | None = None) -> list[Enrolment]:
        """Enrol captured faces; durable and searchable on return.

        Args:
            captures: What to enrol.
            embedded: Their templates, if they are known; made again if the gallery has changed its model since.

        Returns:
            One enrolment each, in order.
        """
        while True:
            if embedded is None:
                embedded = self.embed([capture.sample for capture in captures], self.active().fingerprint)
            batch = [
                EnrolmentRequest(capture.sample, capture.subject, vector, capture.item, capture.terms)
                for capture, vector in zip(captures, embedded.vectors, strict=True)
            ]
            try:
                return self.store.references.enroll_many(batch, embedded.fingerprint)
            except ModelMismatchError:
                if self.active().fingerprint == embedded.fingerprint:
                    raise
                embedded = None

    def embed(self, samples: Sequence[Sample], fingerprint: str) -> Embedded:
        """Templates of captured faces by one model."""
        return Embedded(fingerprint, self.embedder(fingerprint).embed_samples(samples))

    @property
    def reader(self) -> FaceReader:
        """Reads photos for `identify`; made at first use, if nobody has set another one."""
        with self._opening:
            if self._reader is None:
                from twindex.embedder.faces.reader import FaceReader

                self._reader = FaceReader()
            return self._reader

    @reader.setter
    def reader(self, reader: FaceReader) -> None:
        self._reader = reader

    def identify(
        self, photo: PhotoSource, *, all_faces: bool = False, top: int = TOP, pre_cropped: bool = False
    ) -> ProbeAnswer:
        """Who is in a photo. A photo without a usable face is no exception: the answer's `error` says why.

        Args:
            photo: A path, the bytes of a photo file, or pixels (height, width, 3) uint8 RGB.
            all_faces: Every usable face instead of the most prominent one.
            top: Longest candidate list wanted.
            pre_cropped: The photo is one aligned face; nothing is searched for.
        """
        name = source_name(photo)
        try:
            samples = self.reader.samples(photo_bytes(photo), name, pre_cropped=pre_cropped, all_faces=all_faces)
        except PhotoError as error:
            return self.answer(name, (), top, error)
        return self.answer(name, samples, top)

    def search(self, samples: Sequence[Sample], top: int) -> list[FaceAnswer]:
        """Who the samples are: candidates by the index, exact distances by the store, the head, and the decision."""
        return list(self.answer("", samples, top).faces)

    def answer(self, probe: str, samples: Sequence[Sample], top: int, error: PhotoError | None = None) -> ProbeAnswer:
        """The answer about one photo: one for each of its samples, or what is wrong with the photo."""
        if not samples:
            fingerprint = self.active().fingerprint
            return ProbeAnswer(probe, fingerprint, self.store.references.count(fingerprint), (), error)
        searchable = self.searchable()
        faces = tuple(self._search(searchable, samples, top))
        rivals = samples[0].rivals if len(samples) == 1 else 0
        return ProbeAnswer(probe, searchable.generation.fingerprint, searchable.count, faces, error, rivals)

    def searchable(self) -> SearchableGeneration:
        """The active generation, up to date with every process's enrolments and erasures."""
        from twindex.gallery.search.searchable import SearchableGeneration

        with self.store.one_state():
            number, revision = self.store.generations.active_id(), self.store.changes.revision()
        searchable = self._open
        if searchable is None or searchable.generation.id != number:
            with self._opening:
                searchable = self._open
                if searchable is None or searchable.generation.id != number:
                    active = self.active()
                    dim = self.embedder(active.fingerprint).dim
                    searchable = self._open = SearchableGeneration(self.store, self.snapshots, active, dim)
        if searchable.revision < revision:
            searchable.refresh()
        return searchable

    def compact_when_behind(self) -> None:
        """Write a fresh snapshot if many changes have come since the last one; a few are replayed when it is opened.

        Where none can be written, on a full disk for instance, that is logged: what was enrolled is not in doubt.
        """
        generation = self.active()
        written = 0 if generation.snapshot is None else generation.snapshot.revision
        behind = self.store.changes.revision() - written
        if behind > max(COMPACT_AFTER, self.store.references.count(generation.fingerprint) // 10):
            try:
                self.searchable().compact()
            except (OSError, UsageError) as error:
                _log.warning("No snapshot of the index was written; nothing is lost, only opening is slower: %s", error)

    def threshold(self, fingerprint: str) -> float:
        """See `CurrentThreshold.value`."""
        return self._thresholds.value(fingerprint)

    def reset_threshold(self) -> float:
        """Forget the gallery's own threshold; returns the default that holds now."""
        threshold = self._thresholds.default(self.active().fingerprint)
        self.store.set_threshold(None)
        return threshold

    def outgrown(self, threshold: StoredThreshold) -> bool:
        """See `CurrentThreshold.outgrown`."""
        return self._thresholds.outgrown(threshold)

    def subject_count(self) -> int:
        """See `CurrentThreshold.subject_count`."""
        return self._thresholds.subject_count()

    def erase(self, subject: str) -> Receipt:
        """Erase a subject and look for it in every file of the gallery; see `erasing.py`.

        Raises:
            UsageError: Nobody has this name.
        """
        return self._verified(self.store.subjects.erase(subject))

    def purge(self, now: datetime) -> list[Receipt]:
        """Erase every reference that has expired by a moment, like `erase`; one receipt for each thousand."""
        receipts = []
        while (erasure := self.store.subjects.erase_expired(now, PURGED_AT_ONCE)) is not None:
            receipts.append(self._verified(erasure))
        return receipts

    def _verified(self, erasure: Erasure) -> Receipt:
        with self._opening:
            self._open = None
        return verify(self.store, self.folder, self.snapshots, erasure)

    def _search(self, searchable: SearchableGeneration, samples: Sequence[Sample], top: int) -> list[FaceAnswer]:
        """All from one generation and one state: a flip to another meanwhile changes nothing here."""
        from twindex.gallery.search.candidates import best_subjects, with_confidence

        fingerprint = searchable.generation.fingerprint
        head = self.embedder(fingerprint).card.head
        templates, answers = self.embed(samples, fingerprint).vectors, []
        for sample, template in zip(samples, templates, strict=True):
            # One face at a time: where there is no write-ahead log, nobody can commit meanwhile.
            with self.store.one_state():
                threshold = self.threshold(fingerprint)
                found = best_subjects(self.store, searchable, template, head, top, listed=FUSED_SUBJECTS)
                subjects = self.subject_count()
            candidates, unknown = with_confidence(found, head, subjects, top)
            box = None if sample.face is None else sample.face.box
            answers.append(FaceAnswer(box, decide(candidates, threshold), threshold, candidates, unknown))
        return answers
