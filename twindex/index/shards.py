"""Several FAISS structures that act as one, so that a single probe keeps more than one core busy.

FAISS spreads probes over cores, but scans all codes for one probe on one core. With the references split into two
structures, a scan on two cores takes two thirds of the time (docs/speed.md). FAISS's own `IndexShards` cannot be
written to a file or have references removed, and its threads wait for each other in busy loops.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import faiss
import numpy as np

from twindex.index.protocol import NO_REFERENCE
from twindex.index.spec import IndexSpec
from twindex.index.structure import stored_ids
from twindex.types import Float32, Int64

SHARDS = 2
SHARED_FROM = 400_000
"""Number of references; with fewer, handing work to another thread takes as long as it saves."""


def shareable(spec: IndexSpec) -> bool:
    """Whether several structures may share an index's references: only if a search scans all codes."""
    return spec.fast_scan and not spec.cells


def shard_count(spec: IndexSpec, count: int) -> int:
    """How many structures share the references.

    Args:
        spec: The specification of each structure.
        count: The total number of references.
    """
    return SHARDS if shareable(spec) and count >= SHARED_FROM else 1


class Shards:
    """FAISS structures of the same kind, each with a part of the references. Threads: see `VectorIndex`.

    Args:
        structures: At least one structure of `structure.py`, all trained on the same vectors.
    """

    def __init__(self, structures: Sequence[faiss.Index]) -> None:
        self.structures = tuple(structures)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.structures[0].d)

    @property
    def entries(self) -> int:
        """Number of entries in all structures, including tombstones."""
        return sum(int(structure.ntotal) for structure in self.structures)

    def ids(self) -> Int64:
        """The id of every entry, (entries,) int64, in no particular order."""
        return np.concatenate([stored_ids(structure) for structure in self.structures])

    def add(self, references: Int64, vectors: Float32) -> None:
        """Split new references between the structures, beginning with the smallest one.

        Args:
            references: (n,) int64, none of them present.
            vectors: (n, dim) float32.
        """
        by_size = sorted(self.structures, key=lambda structure: structure.ntotal)
        for structure, part in zip(by_size, np.array_split(np.arange(len(references)), len(by_size)), strict=True):
            if len(part):
                structure.add_with_ids(vectors[part], np.ascontiguousarray(references[part]))

    def search(self, probes: Float32, k: int) -> tuple[Float32, Int64]:
        """The k nearest of each probe among all structures.

        Args:
            probes: (q, dim) float32.
            k: At least 1 and at most the number of entries.

        Returns:
            (q, k) float32 squared distances and (q, k) int64 references; with several structures, in no particular
            order.
        """
        if len(self.structures) == 1:
            squared, references = self.structures[0].search(probes, k)
            return squared, references
        # With at least as many probes as structures, FAISS keeps the cores busy itself.
        if len(probes) < len(self.structures):
            found = _side_by_side(self.structures, probes, k)
        else:
            found = [structure.search(probes, k) for structure in self.structures]
        references = np.concatenate([ids for _, ids in found], axis=1)
        # A structure with fewer than k references fills up its rows with -1, at any distance.
        squared = np.concatenate([distances for distances, _ in found], axis=1)
        squared[references == NO_REFERENCE] = np.inf
        nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
        return np.take_along_axis(squared, nearest, axis=1), np.take_along_axis(references, nearest, axis=1)


def _side_by_side(structures: Sequence[faiss.Index], probes: Float32, k: int) -> list[tuple[Float32, Int64]]:
    """Search each structure in its own thread, the first one in this thread, without any additional FAISS threads."""
    first, *others = structures
    elsewhere = [_threads().submit(other.search, probes, k) for other in others]
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        here = first.search(probes, k)
    finally:
        faiss.omp_set_num_threads(usual)
    return [here, *(search.result() for search in elsewhere)]


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads for all searches of the process. Each sets FAISS's thread count for itself."""
    return ThreadPoolExecutor(os.cpu_count(), "search", initializer=lambda: faiss.omp_set_num_threads(1))
