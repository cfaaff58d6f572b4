"""Tombstones of HNSW graphs, and searches that they obstruct."""

import numpy as np

from tests.index.galleries import DIM, assert_exact, build, ids, oracle, people, unit


def test_stale_share_counts_tombstones() -> None:
    index = build("HNSW32", ids(200), people(200, seed=1))
    assert index.stale_share == 0.0
    index.remove(ids(200)[:50])
    assert index.stale_share == 0.25
    index.add(ids(200)[:10], people(10, seed=2))
    assert index.stale_share == 50 / 210
    assert build("HNSW32", ids(0), people(1, seed=0)[:0]).stale_share == 0.0


def test_structures_without_tombstones_are_never_stale() -> None:
    index = build("Flat", ids(20), people(20, seed=1))
    index.remove(ids(20)[:10])
    assert index.stale_share == 0.0


def test_many_tombstones_do_not_hide_live_references() -> None:
    random = np.random.default_rng(4)
    centre = random.normal(size=DIM)
    crowd = unit(centre + 0.02 * random.normal(size=(2000, DIM)))
    others = people(600, seed=3)
    references, vectors = ids(2600), np.concatenate([crowd, others])
    index, truth = build("HNSW32", references, vectors), oracle(references, vectors)
    index.remove(references[:2000])
    truth.remove(references[:2000])
    probes = unit(centre + 0.02 * random.normal(size=(5, DIM)))
    assert_exact(index.search(probes, 10), truth, probes)


def test_tombstones_cost_no_recall() -> None:
    references, vectors, probes = ids(3000), people(3000, seed=1, spread=1.0), people(200, seed=2, spread=1.0)
    index, truth = build("HNSW32", references, vectors), oracle(references, vectors)
    index.remove(references[1::2])
    truth.remove(references[1::2])
    found, expected = index.search(probes, 50).references, truth.search(probes, 50).references
    assert np.mean(found == expected) >= 0.995


def test_a_probe_too_far_for_float32_has_no_neighbours() -> None:
    index = build("HNSW32", ids(500), people(500, seed=1))
    hits = index.search(np.full((1, DIM), 1e30, np.float32), 3)
    assert hits.references.tolist() == [[-1, -1, -1]]


def test_many_equal_vectors_are_all_found() -> None:
    references = ids(1000)
    vectors = np.repeat(people(2, seed=1), 500, axis=0)
    index, truth = build("HNSW32", references, vectors), oracle(references, vectors)
    assert_exact(index.search(vectors[:1], 600), truth, vectors[:1])


def test_the_graph_is_as_good_as_the_oracle_beyond_its_breadth() -> None:
    references, vectors, probes = ids(3000), people(3000, seed=1), people(50, seed=2)
    index, truth = build("HNSW32", references, vectors), oracle(references, vectors)
    index.remove(references[::2])
    truth.remove(references[::2])
    found, expected = index.search(probes, 10).references, truth.search(probes, 10).references
    assert np.mean(found == expected) >= 0.99
