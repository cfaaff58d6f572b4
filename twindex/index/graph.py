"""What FAISS leaves to its users for HNSW graphs: removal, and searching past what was removed.

A removed node stays in the graph as a tombstone, because its neighbours are reached through it: its entry in the id
map becomes -1. Searches pass over such results, and the id itself is free to be added again.
"""

import faiss
import numpy as np

from twindex.index.protocol import NO_REFERENCE
from twindex.index.structure import parts
from twindex.types import Float32, Int64

_LEAST_BREADTH = 128
_BREADTH_GROWTH = 4
# Following a graph this broadly costs about as much as comparing with every vector of a large gallery.
_MOST_BREADTH = 8192


def bury(structure: faiss.Index, references: Int64) -> None:
    """Turn references of a graph into tombstones.

    Args:
        structure: `IndexIDMap` over a graph, changed in place.
        references: (n,) int64, all live.
    """
    ids = faiss.vector_to_array(structure.id_map)
    ids[np.isin(ids, references)] = NO_REFERENCE
    faiss.copy_array_to_vector(ids, structure.id_map)


def search_graph(structure: faiss.Index, probes: Float32, k: int) -> tuple[Float32, Int64]:
    """The nearest live references of each probe, found along the graph.

    A search brings max(128, 2 k) nodes, tombstones among them, and is trusted for the nearer half of them. A probe
    without k live ones there, because an erased crowd is nearer or because duplicates wall it in, is searched again
    four times as broadly, and in the end compared with every node; so is any probe of a graph no larger than that.

    Args:
        structure: `IndexIDMap` over a graph.
        probes: (q, dim) float32.
        k: At most the number of live references.

    Returns:
        (q, k) float32 squared distances and (q, k) int64 references, live ones only.
    """
    squared = np.empty((len(probes), k), dtype=np.float32)
    references = np.empty((len(probes), k), dtype=np.int64)
    pending = np.arange(len(probes))
    breadth = max(_LEAST_BREADTH, 2 * k)
    while len(pending) and breadth < min(structure.ntotal, _MOST_BREADTH):
        following = faiss.SearchParametersHNSW(efSearch=breadth)
        near, ids = structure.search(probes[pending], breadth, params=following)
        enough = (ids[:, : breadth // 2] != NO_REFERENCE).sum(axis=1) >= k
        # Results come nearest first, and a stable sort keeps them so: live ones, then tombstones.
        first = np.argsort(ids[enough] == NO_REFERENCE, axis=1, kind="stable")[:, :k]
        squared[pending[enough]] = np.take_along_axis(near[enough], first, axis=1)
        references[pending[enough]] = np.take_along_axis(ids[enough], first, axis=1)
        pending = pending[~enough]
        breadth *= _BREADTH_GROWTH
    if len(pending):
        squared[pending], references[pending] = _compare_all(structure, probes[pending], k)
    return squared, references


def _compare_all(structure: faiss.Index, probes: Float32, k: int) -> tuple[Float32, Int64]:
    """The k nearest live references by the distance of every one; FAISS keeps the vectors of a graph beside it."""
    live = faiss.IDSelectorNot(faiss.IDSelectorRange(NO_REFERENCE, NO_REFERENCE + 1))
    by_position = faiss.IDSelectorTranslated(structure.id_map, live)
    storage = faiss.downcast_index(parts(structure)[-1].storage)
    squared, positions = storage.search(probes, k, params=faiss.SearchParameters(sel=by_position))
    ids = faiss.vector_to_array(structure.id_map)
    return squared, np.where(positions < 0, NO_REFERENCE, ids[positions])
