"""The recall of an approximate index, counted by hand with a search that is wrong on purpose."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.gallery.builders import enrol
from tests.index.oracle import ExactIndex
from tests.storage.builders import sample
from twindex.gallery import Gallery
from twindex.gallery.search import searchable
from twindex.gallery.search.recall import LADDER, UNMEASURED, displaced, measure_recall
from twindex.index import choice, spec
from twindex.index.protocol import Hits
from twindex.storage import EnrolmentRequest, Recall
from twindex.types import Float32, Int64

COUNT = 400


@pytest.fixture
def templates(gallery: Gallery) -> tuple[Int64, Float32]:
    """`COUNT` references with random templates; only the templates matter here."""
    vectors = np.random.default_rng(3).normal(size=(COUNT, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    requests = [
        EnrolmentRequest(sample(number), f"subject {number}", vector) for number, vector in enumerate(vectors, 1)
    ]
    fingerprint = gallery.active().fingerprint
    gallery.store.references.enroll_many(requests, fingerprint)
    ids, stored = next(gallery.store.references.batches(fingerprint, COUNT))
    np.testing.assert_array_equal(stored, vectors)
    return ids, vectors


def shifted(ids: Int64, vectors: Float32, places: int) -> Callable[[Float32, int], Hits]:
    """An exact search that returns the nearest reference `places` too late."""
    exact = ExactIndex(vectors.shape[1])
    exact.add(ids, vectors)

    def search(probes: Float32, k: int) -> Hits:
        hits = exact.search(probes, len(ids))
        order = np.r_[1 : places + 1, 0, places + 1 : len(ids)][:k]
        return Hits(hits.distances[:, order], hits.references[:, order])

    return search


@pytest.mark.parametrize(
    ("places", "candidates"), [(0, 100), (99, 100), (100, 150), (149, 150), (150, 200), (200, 300)]
)
def test_the_number_of_candidates_reaches_the_exact_nearest(
    gallery: Gallery, templates: tuple[Int64, Float32], places: int, candidates: int
) -> None:
    ids, vectors = templates
    search = shifted(ids, vectors, places)
    found = measure_recall(gallery.store, gallery.active().fingerprint, search, "Shifted", ids)
    assert found == Recall("Shifted", COUNT, candidates, 1.0, COUNT)


def test_an_index_that_never_finds_the_nearest_has_recall_0(gallery: Gallery, templates: tuple[Int64, Float32]) -> None:
    ids, _ = templates

    def blind(probes: Float32, k: int) -> Hits:
        nobody = np.full((len(probes), k), -1, np.int64)
        return Hits(np.full(nobody.shape, np.inf, np.float32), nobody)

    found = measure_recall(gallery.store, gallery.active().fingerprint, blind, "Blind", ids)
    assert found == Recall("Blind", COUNT, LADDER[-1], 0.0, COUNT)


def test_probes_lie_at_the_distance_in_random_directions(templates: tuple[Int64, Float32]) -> None:
    _, vectors = templates
    probes = displaced(vectors, 1.0, seed=1)
    np.testing.assert_allclose(np.linalg.norm(probes, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(probes - vectors, axis=1), 1, atol=1e-6)
    directions = probes - 0.5 * vectors
    assert np.abs(np.corrcoef(directions)[np.triu_indices(COUNT, 1)]).mean() < 0.3


def test_an_empty_index_has_nothing_to_miss(gallery: Gallery) -> None:
    opened = gallery.searchable()
    nobody = np.empty(0, np.int64)
    found = measure_recall(gallery.store, gallery.active().fingerprint, opened.search, "Flat", nobody)
    assert found == Recall("Flat", 0, LADDER[0], 1.0, 0)


def test_a_single_reference_is_found(gallery: Gallery) -> None:
    reference = enrol(gallery, 1, "ada")
    opened = gallery.searchable()
    alone = np.array([reference], np.int64)
    found = measure_recall(gallery.store, gallery.active().fingerprint, opened.search, "Flat", alone)
    assert found == Recall("Flat", 1, LADDER[0], 1.0, 1)


def test_a_gallery_that_outgrows_exact_search_is_measured_when_compacted(
    gallery: Gallery, templates: tuple[Int64, Float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = gallery.searchable()
    assert opened.compact().recall is None
    assert (opened.structure, opened.candidates) == ("Flat", LADDER[0])
    monkeypatch.setattr(choice, "EXACT_UP_TO", COUNT - 1)
    written = opened.compact()
    recall = written.recall
    assert recall is not None
    assert (recall.structure, recall.references, recall.probes) == (opened.structure, COUNT, COUNT)
    assert opened.structure == "PCAR16,PQ8x4fs"
    assert opened.candidates == recall.candidates
    # Opening it again does not measure it again.
    assert gallery.active().snapshot == written
    with monkeypatch.context() as patch, Gallery.open(gallery.folder) as other:
        patch.setattr(searchable, "measure_recall", None)
        assert other.searchable().candidates == recall.candidates
        assert other.searchable().compact().recall == recall


def test_an_index_is_measured_again_once_it_has_doubled_in_small_steps(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "EXACT_UP_TO", 50)
    monkeypatch.setattr(searchable, "measure_recall", lambda *given: Recall(given[3], len(given[4]), 150, 1.0, 9))
    opened = gallery.searchable()
    measured = []
    for number in range(1, 141):
        enrol(gallery, number, "ada")
        if number >= 60 and number % 20 == 0:
            opened.refresh()
            recall = opened.compact().recall
            assert recall is not None
            measured.append(recall.references)
    assert measured == [60, 60, 60, 60, 140]


def test_a_large_gallery_trains_on_a_sample(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "EXACT_UP_TO", 50)
    monkeypatch.setattr(spec.IndexSpec, "training_points", 32)
    for number in range(1, 81):
        enrol(gallery, number, "ada")
    drawn: list[list[int]] = []
    vectors = type(gallery.store.references).vectors

    def noted(self: object, fingerprint: str, references: list[int]) -> tuple[Int64, Float32]:
        drawn.append(references)
        return vectors(self, fingerprint, references)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(type(gallery.store.references), "vectors", noted)
    opened = gallery.searchable()
    assert (opened.structure, opened.count) == ("PCAR16,PQ8x4fs", 80)
    assert drawn == [np.linspace(1, 80, 32, dtype=np.int64).tolist()]


def test_an_unmeasured_index_returns_more_candidates(
    gallery: Gallery, templates: tuple[Int64, Float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "EXACT_UP_TO", COUNT - 1)
    assert gallery.searchable().candidates == UNMEASURED
