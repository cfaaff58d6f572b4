"""How many candidates an approximate index must bring so that the exact nearest reference is among them, measured."""

from collections.abc import Callable, Iterable

import numpy as np

from twindex.config import CANDIDATES
from twindex.index.protocol import Hits
from twindex.scoring import unit_length
from twindex.storage import Recall, Store
from twindex.types import Float32, Int64

UNMEASURED = 400  # candidates of an approximate index that was not measured yet
WANTED_SHARE = 0.999
LADDER = (CANDIDATES, 150, 200, 300, 400, 800, 1600, 3200)
# Farther than any match: the shipped model's thresholds lie between 0.9 and 1.1, those of larger galleries lower.
_REACH = 1.0
_PROBES = 1_000
_SEED = 3
_PAGE = 10_000

Search = Callable[[Float32, int], Hits]


def measure_recall(store: Store, fingerprint: str, search: Search, structure: str, live: Int64) -> Recall:
    """Search probes as far from references as a match can be for their nearest reference, exactly and by the index.

    Args:
        store: The truth.
        fingerprint: The model of the index.
        search: The index's.
        structure: Of the index, as a factory string.
        live: (n,) int64, the references that it holds.

    Returns:
        The smallest number of candidates of `LADDER` that keeps `WANTED_SHARE` of the exact nearest, or the largest if
        none does, with the share that it keeps.
    """
    spread = np.linspace(0, max(0, len(live) - 1), min(len(live), _PROBES), dtype=np.int64)
    _, chosen = store.references.vectors(fingerprint, live[spread].tolist())
    if not len(chosen):
        return Recall(structure, len(live), LADDER[0], 1.0, 0)
    probes = moved(chosen, _REACH, _SEED)
    nearest = exact_nearest(probes, store.references.batches(fingerprint, _PAGE))
    for candidates in LADDER:
        # Each number is searched for by itself: a graph looks the farther, the more is asked of it.
        found = search(probes, candidates).references
        share = float((found == nearest[:, None]).any(axis=1).mean())
        if share >= WANTED_SHARE:
            break
    return Recall(structure, len(live), candidates, share, len(probes))


def moved(templates: Float32, distance: float, seed: int) -> Float32:
    """Unit-length vectors at a distance from others, each in a direction drawn at random.

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
        (m,) int64; -1 where there are no templates.
    """
    best, names = np.full(len(probes), -np.inf, np.float32), np.full(len(probes), -1, np.int64)
    for references, templates in batches:
        cosines = probes @ templates.T
        column = cosines.argmax(axis=1)
        value = cosines[np.arange(len(probes)), column]
        better = value > best
        best[better], names[better] = value[better], references[column[better]]
    return names
