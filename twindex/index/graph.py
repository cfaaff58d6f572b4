"""What FAISS does not offer for HNSW graphs: removal, and searching past removed nodes.

A removed node stays in the graph as a tombstone, because its neighbours are reached through it; only its entry in the
id map becomes -1. Searches skip tombstones, and the id can be added again.
"""

import faiss
import numpy as np

from twindex.index.protocol import NO_REFERENCE
from twindex.index.structure import parts
from twindex.types import Float32, Int64

_LEAST_BREADTH = 128
_BREADTH_GROWTH = 4
# A graph search this broad costs about as much as comparing every vector of a large gallery.
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

    A search returns max(128, 2 k) nodes, including tombstones; only the nearer half of them is reliable. If that half
    has fewer than k live nodes, because of many tombstones or many duplicates, the search is repeated four times as
    broadly. As a last resort, and in any graph smaller than the search is broad, the probe is compared with every node.

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
        # Live nodes first, then tombstones; a stable sort keeps the nearest first in both groups.
        first = np.argsort(ids[enough] == NO_REFERENCE, axis=1, kind="stable")[:, :k]
        squared[pending[enough]] = np.take_along_axis(near[enough], first, axis=1)
        references[pending[enough]] = np.take_along_axis(ids[enough], first, axis=1)
        pending = pending[~enough]
        breadth *= _BREADTH_GROWTH
    if len(pending):
        squared[pending], references[pending] = _compare_all(structure, probes[pending], k)
    return squared, references


def _compare_all(structure: faiss.Index, probes: Float32, k: int) -> tuple[Float32, Int64]:
    """The k nearest live references by exact comparison; FAISS stores a graph's vectors beside the graph."""
    live = faiss.IDSelectorNot(faiss.IDSelectorRange(NO_REFERENCE, NO_REFERENCE + 1))
    by_position = faiss.IDSelectorTranslated(structure.id_map, live)
    storage = faiss.downcast_index(parts(structure)[-1].storage)
    squared, positions = storage.search(probes, k, params=faiss.SearchParameters(sel=by_position))
    ids = faiss.vector_to_array(structure.id_map)
    return squared, np.where(positions < 0, NO_REFERENCE, ids[positions])
