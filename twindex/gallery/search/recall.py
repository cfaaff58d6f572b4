"""Measure how many candidates an approximate index must return to include the exact nearest reference."""

from collections.abc import Callable, Iterable

import numpy as np

from twindex.config import CANDIDATES
from twindex.index.protocol import Hits
from twindex.scoring import unit_length
from twindex.storage import Recall, Store
from twindex.types import Float32, Int64

UNMEASURED = 400  # candidates of an approximate index that has not been measured yet
WANTED_SHARE = 0.999
LADDER = (CANDIDATES, 150, 200, 300, 400, 800, 1600, 3200)
# About as far as a match can be: the shipped model's thresholds lie between 0.9 and 1.1, lower for large galleries.
_REACH = 1.0
_PROBES = 1_000
_SEED = 3
_PAGE = 10_000

Search = Callable[[Float32, int], Hits]


def measure_recall(store: Store, fingerprint: str, search: Search, structure: str, live: Int64) -> Recall:
    """Compare the index with exact search, on probes as far from their references as a match can be.

    Args:
        store: The truth.
        fingerprint: The model of the index.
        search: The index's search.
        structure: Of the index, as a factory string.
        live: (n,) int64, the references it holds.

    Returns:
        The smallest number of candidates in `LADDER` that keeps `WANTED_SHARE` of the exact nearest references, with
        the share it keeps; the largest number if none does.
    """
    spread = np.linspace(0, max(0, len(live) - 1), min(len(live), _PROBES), dtype=np.int64)
    _, chosen = store.references.vectors(fingerprint, live[spread].tolist())
    if not len(chosen):
        return Recall(structure, len(live), LADDER[0], 1.0, 0)
    probes = displaced(chosen, _REACH, _SEED)
    nearest = exact_nearest(probes, store.references.batches(fingerprint, _PAGE))
    for candidates in LADDER:
        # Search once per number: an HNSW graph explores further for a larger one.
        found = search(probes, candidates).references
        share = float((found == nearest[:, None]).any(axis=1).mean())
        if share >= WANTED_SHARE:
            break
    return Recall(structure, len(live), candidates, share, len(probes))


def displaced(templates: Float32, distance: float, seed: int) -> Float32:
    """Unit-length vectors at a distance from given ones, each in a random direction.

    Args:
        templates: (n, dim) float32, unit length.
        distance: Euclidean, from 0 to 2.
        seed: Of the directions.

    Returns:
        (n, dim) float32.
    """
    drawn = np.random.default_rng(seed).standard_normal(templates.shape)
    across = unit_length(drawn - np.sum(drawn * templates, axis=1, keepdims=True) * templates)
    cosine = 1 - distance**2 / 2
    probes: Float32 = (cosine * templates + np.sqrt(1 - cosine**2) * across).astype(np.float32)
    return probes


def exact_nearest(probes: Float32, batches: Iterable[tuple[Int64, Float32]]) -> Int64:
    """The exact nearest reference of each probe, by the cosine with every template.

    Args:
        probes: (m, dim) float32, unit length.
        batches: (n,) ids and (n, dim) float32 unit-length templates each.

    Returns:
        (m,) int64; -1 if there are no templates.
    """
    best, nearest = np.full(len(probes), -np.inf, np.float32), np.full(len(probes), -1, np.int64)
    for references, templates in batches:
        cosines = probes @ templates.T
        column = cosines.argmax(axis=1)
        value = cosines[np.arange(len(probes)), column]
        better = value > best
        best[better], nearest[better] = value[better], references[column[better]]
    return nearest
