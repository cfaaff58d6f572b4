"""The re-index job, blue/green: a new generation beside the old one, checked, then made active in one transaction."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.model.bundle import Bundle
from twindex.errors import IntegrityError, TwindexError, UsageError
from twindex.gallery.search.recall import measure_recall
from twindex.gallery.search.searchable import SearchableGeneration
from twindex.gallery.service import Gallery
from twindex.index.choice import AUTO, auto_spec, chosen_spec, is_auto, shortage
from twindex.running.pipeline import READERS, run_pipeline
from twindex.storage import Generation, JobState
from twindex.types import Float32, Int64, UInt8

KIND = "reindex"
BATCH = 64
_KEPT_SHARE = 0.9  # of a sample's exact nearest references


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


def reindex(
    gallery: Gallery,
    model: Bundle | None,
    index: str | None,
    progress: Progress,
    *,
    max_megabytes: int | None = None,
) -> ReindexReport:
    """Move the gallery to another model, another index type, or a fresh build of the same.

    A job that was killed resumes when it is asked for again. The old generation answers queries until the flip.

    Args:
        model: The bundle to move to; None keeps the model.
        index: Index specification; None keeps the type, in a gallery without an active index it is "auto".
        progress: Told (references embedded, references to embed).
        max_megabytes: Limit to the memory of the index "auto".

    Raises:
        UsageError: The index specification is wrong, no index is small enough, or there is no model to keep.
        IntegrityError: The new index does not find what exact search finds; the old one stays active.
    """
    active: Generation | None
    if model is None:
        active = gallery.active()
        fingerprint = active.fingerprint
    else:
        active, fingerprint = gallery.store.generations.active(), gallery.use(model).fingerprint
    if index is None and active is not None:
        text = active.index_spec
    else:
        text = _stored_spec(gallery, AUTO if index is None else index, fingerprint, max_megabytes)
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
    return _report(gallery, generation, job.id, failed, time.monotonic() - started)


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


def _stored_spec(gallery: Gallery, index: str, fingerprint: str, max_megabytes: int | None) -> str:
    """What the generation keeps: "auto" stays so, everything else becomes a factory string.

    Raises:
        UsageError: It is no specification, or no index is small enough.
    """
    count, dim = gallery.store.references.count(), gallery.embedder(fingerprint).dim
    if not is_auto(index):
        return chosen_spec(index, count, dim).text
    text = auto_spec(index, max_megabytes)
    if note := shortage(text, count, dim):
        raise UsageError(f"{note} Raise --max-index-memory.")
    return text


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
    """Embed every kept crop that has no template of the model, in committed batches; returns how many have no crop."""
    references, failed = gallery.store.references, 0
    total, done = references.count(), references.count(fingerprint)

    def kept() -> Iterator[tuple[int, bytes]]:
        nonlocal failed
        after = 0
        while page := references.missing(fingerprint, after, BATCH):
            after = page[-1].reference
            failed += sum(one.crop is None for one in page)
            yield from ((one.reference, one.crop) for one in page if one.crop is not None)

    def read(one: tuple[int, bytes]) -> tuple[int, UInt8]:
        return one[0], decode_crop(one[1])

    def embed(batch: list[tuple[int, UInt8]]) -> tuple[Int64, Float32]:
        crops = np.stack([crop for _, crop in batch])
        return np.array([one for one, _ in batch], np.int64), gallery.embedder(fingerprint).embed(crops)

    def commit(embedded: tuple[Int64, Float32]) -> None:
        nonlocal done
        done += references.add_templates(fingerprint, *embedded)
        progress(done, total)

    run_pipeline(kept(), read, embed, commit, readers=READERS, batch=BATCH)
    progress(done, total)
    return failed


def _check(gallery: Gallery, searchable: SearchableGeneration) -> None:
    """See that the new index holds every reference and finds what exact search finds.

    Raises:
        IntegrityError: References are missing from the index, or it finds too few of a sample's exact nearest ones.
    """
    fingerprint = searchable.generation.fingerprint
    ids = gallery.store.references.ids(fingerprint)
    # What was enrolled or erased since the index was built is in its changes, or gone from the store.
    searchable.refresh()
    absent, _ = gallery.store.references.vectors(fingerprint, ids[~searchable.contains(ids)].tolist())
    if len(absent):
        raise IntegrityError(f"{len(absent)} references are missing from the new index; the old one stays active.")
    recall = searchable.recall or measure_recall(
        gallery.store, fingerprint, searchable.search, searchable.structure, searchable.references()
    )
    if recall.share < _KEPT_SHARE:
        raise IntegrityError(
            f"The new index keeps {100 * recall.share:.0f} % of the exact nearest references among {recall.candidates} "
            f"candidates, expected {100 * _KEPT_SHARE:.0f} %; the old one stays active. Choose a finer index type."
        )


def present(gallery: Gallery) -> ReindexReport:
    """The active generation as a report, for a call that only pruned; its job is 0."""
    return _report(gallery, gallery.active(), 0, 0, 0.0)


def _report(gallery: Gallery, generation: Generation, job: int, failed: int, seconds: float) -> ReindexReport:
    fingerprint, count = generation.fingerprint, gallery.store.references.count(generation.fingerprint)
    text = generation.index_spec
    if is_auto(text):
        text = chosen_spec(text, count, gallery.embedder(fingerprint).dim).text
    return ReindexReport(job, generation.id, fingerprint, text, count, failed, seconds)
