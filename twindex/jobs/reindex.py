"""The re-index job, blue/green: a new generation beside the old one, checked, then made active in one transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twindex.config import CANDIDATES
from twindex.embedder.alignment import decode_crop
from twindex.embedder.bundle import Bundle
from twindex.errors import IntegrityError, TwindexError, UsageError
from twindex.gallery.searchable import SearchableGeneration
from twindex.gallery.service import Gallery
from twindex.index.exact import ExactIndex
from twindex.index.spec import parse_spec
from twindex.storage import Generation, JobState
from twindex.types import Float32, Int64

KIND = "reindex"
BATCH = 64
_CHECKED = 32
_NEAREST = 5
_PAGE = 10_000
_KEPT_SHARE = 0.9


@dataclass(frozen=True)
class ReindexReport:
    """What a re-index did.

    Attributes:
        job: Its id; 0 for a call that ran none.
        generation: Id of the generation that it made active, or was to.
        model: That generation's fingerprint.
        index: Its factory string.
        references: How many have a template of that model.
        failed: References that could not be embedded, because their crop was not kept.
        seconds: Wall time.
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
    active = gallery.active()
    fingerprint = active.fingerprint if model is None else gallery.use(model).fingerprint
    text = active.index_spec if index is None else parse_spec(index, gallery.store.references.count()).text
    return _run(gallery, {"model": fingerprint, "index": text}, lambda: _building(gallery, fingerprint, text), progress)


def roll_back(gallery: Gallery, progress: Progress) -> ReindexReport:
    """Make the generation that was active before this one active again, after embedding what was enrolled since.

    Raises:
        UsageError: There is none.
    """
    retired = [one for one in gallery.store.generations.list() if one.state == "retired" and one.activated]
    if not retired:
        raise UsageError("There is no earlier generation to roll back to.")
    return roll_back_to(gallery, max(retired, key=lambda one: (one.activated, one.id)).id, progress)


def roll_back_to(gallery: Gallery, number: int, progress: Progress) -> ReindexReport:
    """Make one generation active again; nothing changes if it is."""
    return _run(gallery, {"rollback": number}, lambda: gallery.store.generations.get(number), progress)


def _run(
    gallery: Gallery, parameters: dict[str, Any], choose: Callable[[], Generation], progress: Progress
) -> ReindexReport:
    """Bring a generation up to date and make it active, as a job that knows how it ended."""
    started, store = time.monotonic(), gallery.store
    job = store.jobs.find_unfinished(KIND, parameters) or store.jobs.create(KIND, parameters)
    store.jobs.set_state(job.id, "running")
    state: JobState = "interrupted"
    try:
        generation = choose()
        failed = 0 if generation.state == "active" else _flip(gallery, generation, progress)
        state = "failed" if failed else "finished"
    except TwindexError:
        state = "failed"
        raise
    finally:
        store.jobs.set_state(job.id, state)
    fingerprint, text = generation.fingerprint, generation.index_spec
    count = store.references.count(fingerprint)
    return ReindexReport(job.id, generation.id, fingerprint, text, count, failed, time.monotonic() - started)


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
    unused = set(store.references.fingerprints()) - {active.fingerprint}
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
        # Always from the store: a snapshot's changes do not tell which templates this job has added since.
        fresh = replace(generation, snapshot=None)
        searchable = SearchableGeneration(gallery.store, gallery.snapshots, fresh, dim)
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
    """Compare the new index with exact search, on the templates of a sample of references spread over the gallery.

    Raises:
        IntegrityError: The index lacks references, or finds too few of the sample's exact nearest ones.
    """
    fingerprint = searchable.generation.fingerprint
    ids, vectors = [], []
    for references, templates in gallery.store.references.batches(fingerprint, _PAGE):
        step = max(1, searchable.count // _CHECKED)
        ids.append(references)
        vectors.append(templates[::step])
    probes = np.concatenate(vectors)[:_CHECKED] if vectors else np.empty((0, searchable.dim), np.float32)
    missing = int(np.sum(~searchable.contains(np.concatenate(ids)))) if ids else 0
    if missing:
        raise IntegrityError(f"The new index lacks {missing} references; the old one stays active.")
    nearest = _exact_nearest(gallery, fingerprint, probes)
    found = searchable.search(probes, CANDIDATES).references
    kept = [len(set(want) & set(have)) / len(want) for want, have in zip(nearest.tolist(), found.tolist(), strict=True)]
    if kept and np.mean(kept) < _KEPT_SHARE:
        raise IntegrityError(
            f"The new index keeps {100 * np.mean(kept):.0f} % of the exact nearest references among its candidates, "
            f"expected {100 * _KEPT_SHARE:.0f} %; the old one stays active. Choose a finer index type."
        )


def _exact_nearest(gallery: Gallery, fingerprint: str, probes: Float32) -> Int64:
    """The nearest references of each probe by exact search, (n, k) int64, read from the store in pages."""
    best = np.empty((len(probes), 0), np.float32)
    names = np.empty((len(probes), 0), np.int64)
    for references, templates in gallery.store.references.batches(fingerprint, _PAGE):
        page = ExactIndex(templates.shape[1])
        page.add(references, templates)
        hits = page.search(probes, min(_NEAREST, len(references)))
        best, names = np.hstack([best, hits.distances]), np.hstack([names, hits.references])
        order = np.argsort(best, axis=1, kind="stable")[:, :_NEAREST]
        best, names = np.take_along_axis(best, order, 1), np.take_along_axis(names, order, 1)
    return names


def present(gallery: Gallery) -> ReindexReport:
    """The active generation as a report, for a call that only pruned; its job is 0."""
    active = gallery.active()
    count = gallery.store.references.count(active.fingerprint)
    return ReindexReport(0, active.id, active.fingerprint, active.index_spec, count, 0, 0.0)
