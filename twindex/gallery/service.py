"""The one service class: a gallery on disk, opened for enrolling and for searching.

OpenVINO and FAISS are imported when something is embedded or searched: erasing needs neither.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twindex.config import COMPACT_AFTER, DATABASE, SNAPSHOTS
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.registry import find_model
from twindex.encryption.keys import GalleryKey
from twindex.errors import ModelMismatchError, UsageError
from twindex.files.user_folders import cache_dir
from twindex.gallery.answers import FaceAnswer, ProbeAnswer
from twindex.gallery.erasing import PURGED_AT_ONCE, Receipt, verify
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
from twindex.storage.values.terms import NO_TERMS, Terms
from twindex.types import Float32, Sample

if TYPE_CHECKING:
    from twindex.embedder.embedder import Embedder
    from twindex.gallery.search.searchable import SearchableGeneration

_GROWTH = 0.1  # share of new subjects from which on a threshold is too old
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Embedded:
    """Templates, (n, dim) float32 of unit length, and the model that made them."""

    fingerprint: str
    vectors: Float32


class Gallery:
    """A folder with the database (the truth) and snapshots of the index (which can always be thrown away).

    Searching and enrolling are for one thread at a time; several processes may use one folder.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self._open: SearchableGeneration | None = None
        self._embedders: dict[str, Embedder] = {}
        self._counted: tuple[int, int] | None = None  # revision and subjects

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

    def enroll(
        self,
        requests: Sequence[tuple[Sample, str, int | None]],
        embedded: Embedded | None = None,
        *,
        terms: Terms = NO_TERMS,
    ) -> list[Enrolment]:
        """Commit captured faces; durable and searchable on return.

        Args:
            requests: (sample, subject, job item or None) each.
            embedded: Their templates, where known already; made anew if the gallery has changed its model since.
            terms: Those of the references; for a job item, its own count instead.

        Returns:
            One enrolment each, in order.
        """
        while True:
            if embedded is None:
                embedded = self.embed([sample for sample, _, _ in requests], self.active().fingerprint)
            batch = [
                EnrolmentRequest(sample, subject, vector, item, terms)
                for (sample, subject, item), vector in zip(requests, embedded.vectors, strict=True)
            ]
            try:
                return self.store.references.enroll_many(batch, embedded.fingerprint)
            except ModelMismatchError:
                if self.active().fingerprint == embedded.fingerprint:
                    raise
                embedded = None

    def embed(self, samples: Sequence[Sample], fingerprint: str) -> Embedded:
        """Templates of samples by one model, computed from the crops' kept bytes; safe to call from another thread."""
        return Embedded(fingerprint, self.embedder(fingerprint).embed_samples(samples))

    def search(self, samples: Sequence[Sample], top: int) -> list[FaceAnswer]:
        """Who the samples are: candidates by the index, exact distances by the store, the head, and the decision."""
        return self._search(self.searchable(), samples, top) if samples else []

    def answer(
        self, probe: str, samples: Sequence[Sample], top: int, error: tuple[str, str] | None = None
    ) -> ProbeAnswer:
        """The answer about one photo: one for each of its samples, or the (code, message) of what is wrong with it."""
        if not samples:
            fingerprint = self.active().fingerprint
            return ProbeAnswer(probe, fingerprint, self.store.references.count(fingerprint), (), error)
        searchable = self.searchable()
        faces = tuple(self._search(searchable, samples, top))
        return ProbeAnswer(probe, searchable.generation.fingerprint, searchable.count, faces, error)

    def searchable(self) -> SearchableGeneration:
        """The active generation, up to date with every process's enrolments and erasures."""
        from twindex.gallery.search.searchable import SearchableGeneration

        with self.store.one_state():
            number, revision = self.store.generations.active_id(), self.store.changes.revision()
        if self._open is None or self._open.generation.id != number:
            active = self.active()
            dim = self.embedder(active.fingerprint).dim
            self._open = SearchableGeneration(self.store, self.snapshots, active, dim)
        elif self._open.revision != revision:
            self._open.refresh()
        return self._open

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
        """The operating threshold on probability: the gallery's own, else the model card's for its number of subjects.

        The higher of both where the gallery has outgrown its own.

        Args:
            fingerprint: Of the model that answers.
        """
        stored = self.store.gallery().threshold
        if stored is None or stored.fingerprint != fingerprint:
            return self._default_threshold(fingerprint)
        if self.outgrown(stored):
            return max(stored.probability, self._default_threshold(fingerprint))
        return stored.probability

    def reset_threshold(self) -> float:
        """Forget the gallery's own threshold; the default that holds now."""
        fingerprint = self.active().fingerprint
        threshold = self._default_threshold(fingerprint)
        self.store.set_threshold(None)
        return threshold

    def _default_threshold(self, fingerprint: str) -> float:
        return self.embedder(fingerprint).card.threshold_for(max(1, self.subject_count()))

    def outgrown(self, threshold: StoredThreshold) -> bool:
        """Whether the gallery has so many more subjects that the FPIR, which grows about as they do, is another."""
        return self.subject_count() > int(threshold.report.get("subjects", 0)) * (1 + _GROWTH)

    def subject_count(self) -> int:
        """How many subjects there are.

        Counted again only after an enrolment or an erasure: in a large gallery it takes longer than a search. A merge
        that moved everything shows with the next of them.
        """
        revision = self.store.changes.revision()
        if self._counted is None or self._counted[0] != revision:
            self._counted = (revision, self.store.subjects.count())
        return self._counted[1]

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
        self._open = None
        return verify(self.store, self.folder, self.snapshots, erasure)

    def _search(self, searchable: SearchableGeneration, samples: Sequence[Sample], top: int) -> list[FaceAnswer]:
        """All from one generation and one state: a flip to another meanwhile changes nothing here."""
        from twindex.gallery.search.candidates import best_subjects

        fingerprint = searchable.generation.fingerprint
        card = self.embedder(fingerprint).card
        head = card.head
        templates, answers = self.embed(samples, fingerprint).vectors, []
        for sample, template in zip(samples, templates, strict=True):
            # One face at a time: where there is no write-ahead log, nobody can commit meanwhile.
            with self.store.one_state():
                threshold = self.threshold(fingerprint)
                candidates = best_subjects(self.store, searchable, template, head, top)
            box = None if sample.face is None else sample.face.box
            answers.append(FaceAnswer(box, decide(candidates, threshold), threshold, tuple(candidates)))
        return answers
