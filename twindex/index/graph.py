"""What FAISS leaves to its users for HNSW graphs: removal, and searching past what was removed.

A removed node stays in the graph as a tombstone, because its neighbours are reached through it: its entry in the id
map becomes -1. A selector keeps tombstones out of results, and the id itself is free to be added again.
"""

import faiss
import numpy as np

from twindex.index.protocol import NO_REFERENCE
from twindex.index.structure import parts
from twindex.types import Float32, Int64

_LEAST_BREADTH = 128
# Tombstones take places in the queue of a search. Beyond this many, an index should be rebuilt (see `stale_share`).
_MOST_EXTRA_BREADTH = 1024


def bury(structure: faiss.Index, references: Int64) -> None:
    """Turn references of a graph into tombstones.

    Args:
        structure: `IndexIDMap` over a graph, changed in place.
        references: (n,) int64, all live.
    """
    ids = faiss.vector_to_array(structure.id_map)
    ids[np.isin(ids, references)] = NO_REFERENCE
    faiss.copy_array_to_vector(ids, structure.id_map)


def search_graph(structure: faiss.Index, probes: Float32, k: int, tombstones: int) -> tuple[Float32, Int64]:
    """The nearest live references of each probe, found along the graph.

    The search keeps max(128, 2 k) nodes in view, and as many more as there are tombstones, up to 1024. A graph no
    larger than that is scanned in full, and so is any graph for a probe that was left with fewer than k results,
    because tombstones or duplicates walled it in.

    Args:
        structure: `IndexIDMap` over a graph.
        probes: (q, dim) float32.
        k: At most the number of live references.
        tombstones: How many entries are removed ones.

    Returns:
        (q, k) float32 squared distances and (q, k) int64 references, live ones only.
    """
    breadth = max(_LEAST_BREADTH, 2 * k) + min(tombstones, _MOST_EXTRA_BREADTH)
    if breadth >= structure.ntotal:
        return _scan(structure, probes, k)
    live = _live_selector()
    squared, references = structure.search(probes, k, params=faiss.SearchParametersHNSW(sel=live, efSearch=breadth))
    starved = (references == NO_REFERENCE).any(axis=1)
    if starved.any():
        squared[starved], references[starved] = _scan(structure, probes[starved], k)
    return squared, references


def _scan(structure: faiss.Index, probes: Float32, k: int) -> tuple[Float32, Int64]:
    live = _live_selector()
    by_position = faiss.IDSelectorTranslated(structure.id_map, live)
    storage = faiss.downcast_index(parts(structure)[-1].storage)
    squared, positions = storage.search(probes, k, params=faiss.SearchParameters(sel=by_position))
    return squared, faiss.vector_to_array(structure.id_map)[positions]


def _live_selector() -> faiss.IDSelector:
    return faiss.IDSelectorNot(faiss.IDSelectorRange(NO_REFERENCE, NO_REFERENCE + 1))
