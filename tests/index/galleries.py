"""Made-up galleries: vectors in clusters, like the faces of several people, and comparisons with the oracle."""

from collections.abc import Iterator

import numpy as np

from tests.index.oracle import ExactIndex
from twindex.index.faiss_index import FaissIndex
from twindex.index.protocol import Hits
from twindex.index.spec import parse_spec
from twindex.types import Float32, Int64

DIM = 32
EXACT_SPECS = ("Flat", "HNSW32", "IVF16,Flat")
QUANTISED_SPECS = (
    "SQ8",
    "IVF16,SQ8",
    "PQ16x4fs",
    "PQ16",
    "IVF16,PQ16",
    "IVF16,PQ16x4fs",
    "OPQ16,PQ16x4fs",
    "PCAR32,PQ16x4fs",
    "PCA24,Flat",
)
ALL_SPECS = EXACT_SPECS + QUANTISED_SPECS

# The largest allowed error of an estimated distance: one and a half times the largest error ever measured. "IVF,SQ8"
# codes the difference to the cell's centre, within the range of its training vectors; later vectors may exceed it.
DISTANCE_BOUNDS = {
    "SQ8": 0.02,
    "IVF16,SQ8": 0.12,
    "PQ16": 0.3,
    "IVF16,PQ16": 0.3,
    "PQ16x4fs": 0.5,
    "IVF16,PQ16x4fs": 0.5,
    "OPQ16,PQ16x4fs": 0.5,
    "PCAR32,PQ16x4fs": 0.5,
    "PCA24,Flat": 0.5,
}
# For larger batches of probes FAISS multiplies matrices in float32; cancellation limits the accuracy of squares to
# this.
SQUARE_TOLERANCE = 2e-6


def unit(vectors: np.ndarray) -> Float32:
    """Rows of length one, float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(count: int, seed: int, spread: float = 0.4) -> Float32:
    """Vectors (count, DIM) around thirty centres that are the same for every seed."""
    centres = np.random.default_rng(7).normal(size=(30, DIM))
    random = np.random.default_rng(seed)
    return unit(centres[random.integers(0, 30, count)] + spread * random.normal(size=(count, DIM)))


def ids(count: int, seed: int = 0) -> Int64:
    """Distinct ids beyond 32 bits, in random order."""
    return np.random.default_rng(seed).permutation(count).astype(np.int64) * 3 + 2**40


def build(text: str, references: Int64, vectors: Float32) -> FaissIndex:
    """An index of these vectors, given in batches of 97."""

    def batches() -> Iterator[tuple[Int64, Float32]]:
        for start in range(0, len(references), 97):
            yield references[start : start + 97], vectors[start : start + 97]

    return FaissIndex.build(parse_spec(text, len(references)), vectors.shape[1], batches, len(references))


def oracle(references: Int64, vectors: Float32) -> ExactIndex:
    """The exact index of these vectors."""
    index = ExactIndex(vectors.shape[1])
    index.add(references, vectors)
    return index


def assert_exact(hits: Hits, truth: ExactIndex, probes: Float32) -> None:
    """Check that the hits are the oracle's: the same distances, and the same ids in the same order, except in ties."""
    k = hits.references.shape[1]
    expected = truth.search(probes, k)
    assert (hits.references == -1).tolist() == (expected.references == -1).tolist()
    found = expected.references != -1
    np.testing.assert_array_equal(hits.distances[~found], np.inf)
    squares = np.square(np.where(found, hits.distances, 0))
    np.testing.assert_allclose(squares, np.square(np.where(found, expected.distances, 0)), atol=SQUARE_TOLERANCE)
    for row, known in enumerate(true_distances(truth, probes)):
        named = hits.references[row][found[row]]
        assert len(set(named.tolist())) == len(named)
        exact = np.array([known[int(reference)] for reference in named])
        np.testing.assert_allclose(np.square(exact), squares[row][found[row]], atol=SQUARE_TOLERANCE)


def assert_near(hits: Hits, truth: ExactIndex, probes: Float32, bound: float) -> None:
    """Check that every hit is live, unique and in order, and that its distance is right within the bound."""
    assert (np.diff(hits.distances[:, : min(hits.distances.shape[1], truth.count)], axis=1) >= 0).all()
    for row, known in enumerate(true_distances(truth, probes)):
        named = hits.references[row][hits.references[row] != -1].tolist()
        assert len(named) == min(hits.references.shape[1], truth.count)
        assert len(set(named)) == len(named)
        exact = np.array([known[reference] for reference in named])
        np.testing.assert_allclose(hits.distances[row, : len(named)], exact, atol=bound, rtol=0)


def true_distances(truth: ExactIndex, probes: Float32) -> Iterator[dict[int, float]]:
    """For each probe, the distance of every live reference."""
    every = truth.search(probes, max(1, truth.count))
    for references, distances in zip(every.references, every.distances, strict=True):
        yield dict(zip(references.tolist(), distances.tolist(), strict=True))
