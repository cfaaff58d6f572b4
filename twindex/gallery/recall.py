"""How many candidates an approximate index must bring so that the exact nearest reference is among them, measured."""

from collections.abc import Callable

import numpy as np

from twindex.config import CANDIDATES
from twindex.index.protocol import Hits
from twindex.storage import Recall, Store
from twindex.types import Float32, Int64

UNMEASURED = 400  # candidates of an approximate index that was not measured yet
WANTED_SHARE = 0.999
LADDER = (CANDIDATES, 150, 200, 300, 400, 800, 1600, 3200)
_PROBES = 1_000
_PAGE = 10_000

Search = Callable[[Float32, int], Hits]


def measure_recall(store: Store, fingerprint: str, search: Search, structure: str, live: Int64) -> Recall:
    """Search a sample of the gallery's own references for the nearest other one, exactly and by the index.

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
    chosen, probes = store.references.vectors(fingerprint, live[spread].tolist())
    nearest = _nearest_other(store, fingerprint, chosen, probes)
    others = nearest >= 0
    if not others.any():
        return Recall(structure, len(live), LADDER[0], 1.0, 0)
    probes, nearest = probes[others], nearest[others]
    for candidates in LADDER:
        # One more than asked for: the reference itself is found too. Each number is searched for by itself, because
        # a graph looks the farther, the more is asked of it.
        found = search(probes, candidates + 1).references
        share = float((found == nearest[:, None]).any(axis=1).mean())
        if share >= WANTED_SHARE:
            break
    return Recall(structure, len(live), candidates, share, len(probes))


def _nearest_other(store: Store, fingerprint: str, chosen: Int64, probes: Float32) -> Int64:
    """Of each probe, (m,) int64, the exact nearest reference but itself; -1 where there is none."""
    best, names = np.full(len(chosen), -np.inf, np.float32), np.full(len(chosen), -1, np.int64)
    for references, templates in store.references.batches(fingerprint, _PAGE):
        cosines = probes @ templates.T
        places = np.minimum(np.searchsorted(references, chosen), len(references) - 1)
        own = np.flatnonzero(references[places] == chosen)
        cosines[own, places[own]] = -np.inf
        column = cosines.argmax(axis=1)
        value = cosines[np.arange(len(chosen)), column]
        better = value > best
        best[better], names[better] = value[better], references[column[better]]
    return names
