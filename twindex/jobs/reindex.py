"""The re-index job, blue/green: a new generation beside the old one, checked, then made active in one transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from twindex.embedder.alignment import decode_crop
from twindex.embedder.bundle import Bundle
from twindex.errors import IntegrityError, UsageError
from twindex.gallery.searchable import SearchableGeneration
from twindex.gallery.service import Gallery
from twindex.index.spec import parse_spec
from twindex.storage import Generation

KIND = "reindex"
BATCH = 64
_CHECKED = 64
_KEPT_SHARE = 0.9


@dataclass(frozen=True)
class ReindexReport:
    """What a re-index did.

    Attributes:
        failed: References that could not be embedded, because their crop was not kept.
    """

    job: int
    generation: int
    model: str
    index: str
    references: int
    failed: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "seconds": round(self.seconds, 3)}


Progress = Callable[[int, int], None]


def reindex(gallery: Gallery, model: Bundle | None, index: str | None, progress: Progress) -> ReindexReport:
    """Move the gallery to another model, another index type, or a fresh build of the same.

    A job that was killed goes on where it was when it is asked for again. Queries are answered by the old generation
    until the flip.

    Args:
        model: The bundle to move to; None keeps the model.
        index: Index specification; None keeps the type.
        progress: Told (references embedded, references to embed).

    Raises:
        UsageError: The index specification is wrong.
        IntegrityError: The new index does not find what exact search finds; the old one stays active.
    """
    started = time.monotonic()
    active = gallery.active()
    fingerprint = active.fingerprint if model is None else gallery.use(model).fingerprint
    text = active.index_spec if index is None else parse_spec(index, gallery.store.references.count()).text
    store = gallery.store
    parameters = {"model": fingerprint, "index": text}
    job = store.jobs.find_unfinished(KIND, parameters) or store.jobs.create(KIND, parameters)
    store.jobs.set_state(job.id, "running")
    state = "interrupted"
    try:
        generation = _building(gallery, fingerprint, text)
        failed = _flip(gallery, generation, progress)
        state = "finished" if not failed else "failed"
    except IntegrityError:
        state = "failed"
        raise
    finally:
        store.jobs.set_state(job.id, state)
    count = store.references.count(fingerprint)
    return ReindexReport(job.id, generation.id, fingerprint, text, count, failed, time.monotonic() - started)


def roll_back(gallery: Gallery, progress: Progress) -> ReindexReport:
    """Make the generation that was active before this one active again, after embedding what was enrolled since.

    Raises:
        UsageError: There is none.
    """
    started = time.monotonic()
    retired = [one for one in gallery.store.generations.list() if one.state == "retired" and one.activated]
    if not retired:
        raise UsageError("There is no earlier generation to roll back to.")
    generation = max(retired, key=lambda one: (one.activated, one.id))
    gallery.embedder(generation.fingerprint)
    job = gallery.store.jobs.create(KIND, {"rollback": generation.id})
    failed = _flip(gallery, generation, progress)
    gallery.store.jobs.set_state(job.id, "failed" if failed else "finished")
    count = gallery.store.references.count(generation.fingerprint)
    seconds = time.monotonic() - started
    return ReindexReport(job.id, generation.id, generation.fingerprint, generation.index_spec, count, failed, seconds)


def prune(gallery: Gallery) -> tuple[int, int]:
    """Drop every generation that is not active, its snapshot, and the templates of models no longer in use.

    Returns:
        Generations and templates dropped.
    """
    store, active = gallery.store, gallery.active()
    others = [one for one in store.generations.list() if one.id != active.id]
    for one in others:
        store.generations.delete(one.id)
        if one.snapshot is not None:
            (gallery.snapshots / one.snapshot.file).unlink(missing_ok=True)
    unused = {one.fingerprint for one in others} - {active.fingerprint}
    return len(others), sum(store.references.drop_templates(fingerprint) for fingerprint in unused)


def _building(gallery: Gallery, fingerprint: str, text: str) -> Generation:
    for generation in gallery.store.generations.building():
        if (generation.fingerprint, generation.index_spec) == (fingerprint, text):
            return generation
    return gallery.store.generations.add(fingerprint, text)


def _flip(gallery: Gallery, generation: Generation, progress: Progress) -> int:
    """Bring a generation up to date, check it and make it active; returns the references it could not embed."""
    while True:
        failed = _embed_missing(gallery, generation.fingerprint, progress)
        if failed:
            return failed
        dim = gallery.embedder(generation.fingerprint).dim
        searchable = SearchableGeneration(gallery.store, gallery.snapshots, generation, dim)
        searchable.compact()
        _check(gallery, searchable)
        if gallery.store.generations.activate(generation.id):
            return 0


def _embed_missing(gallery: Gallery, fingerprint: str, progress: Progress) -> int:
    """Embed every kept crop that has no template of the model, in committed batches."""
    references, failed, after = gallery.store.references, 0, 0
    total = references.count()
    while kept := references.missing(fingerprint, after, BATCH):
        after = kept[-1].reference
        usable = [(one.reference, one.crop) for one in kept if one.crop is not None]
        failed += len(kept) - len(usable)
        if usable:
            crops = np.stack([decode_crop(crop) for _, crop in usable])
            vectors = gallery.embedder(fingerprint).embed(crops)
            references.add_templates(fingerprint, np.array([one for one, _ in usable], np.int64), vectors)
        progress(references.count(fingerprint), total)
    return failed


def _check(gallery: Gallery, searchable: SearchableGeneration) -> None:
    """Compare the new index with exact search on a sample of its own templates.

    Raises:
        IntegrityError: Too few of the sample find themselves among the candidates.
    """
    fingerprint = searchable.generation.fingerprint
    for references, vectors in gallery.store.references.batches(fingerprint, _CHECKED):
        found = searchable.search(vectors, min(_CHECKED, searchable.count))
        kept = np.mean([one in row for one, row in zip(references, found.references, strict=True)])
        if kept < _KEPT_SHARE:
            raise IntegrityError(
                f"The new index finds only {100 * kept:.0f} % of a sample of its own references; the old one stays active."
            )
        return


def present(gallery: Gallery) -> ReindexReport:
    """The active generation as a report, for a call that only pruned; its job is 0."""
    active = gallery.active()
    count = gallery.store.references.count(active.fingerprint)
    return ReindexReport(0, active.id, active.fingerprint, active.index_spec, count, 0, 0.0)
