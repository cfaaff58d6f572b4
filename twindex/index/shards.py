"""Several FAISS structures as one, so that a single probe keeps more than one core busy.

FAISS spreads probes over cores, but scans all codes for one probe with one core. With the references in two structures
side by side the scan takes two thirds of the time on two cores (docs/speed.md). FAISS's `IndexShards` does the same,
but can be neither written nor have references removed, and its threads wait for each other in busy loops.
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
"""References; with fewer, handing the work over takes as long as it saves."""


def shareable(spec: IndexSpec) -> bool:
    """Whether several structures may share an index's references: where a search scans all codes."""
    return spec.fast_scan and not spec.cells


def shard_count(spec: IndexSpec, count: int) -> int:
    """How many structures share the references.

    Args:
        spec: What each of them is.
        count: References in all.
    """
    return SHARDS if shareable(spec) and count >= SHARED_FROM else 1


class Shards:
    """FAISS structures of one make, each with a part of the references. Threads: see `VectorIndex`.

    Args:
        structures: Of `structure.py`, trained on the same vectors; at least one.
    """

    def __init__(self, structures: Sequence[faiss.Index]) -> None:
        self.structures = tuple(structures)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.structures[0].d)

    @property
    def entries(self) -> int:
        """Of all structures, tombstones included."""
        return sum(int(structure.ntotal) for structure in self.structures)

    def ids(self) -> Int64:
        """The id of every entry, (entries,) int64, in no particular order."""
        return np.concatenate([stored_ids(structure) for structure in self.structures])

    def add(self, references: Int64, vectors: Float32) -> None:
        """Give each structure its part, the smallest one first.

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
            (q, k) float32 squared distances and (q, k) int64 references, in no particular order where there are
            several structures.
        """
        if len(self.structures) == 1:
            squared, references = self.structures[0].search(probes, k)
            return squared, references
        # As many probes as structures keep the cores busy without help.
        if len(probes) < len(self.structures):
            found = _side_by_side(self.structures, probes, k)
        else:
            found = [structure.search(probes, k) for structure in self.structures]
        references = np.concatenate([ids for _, ids in found], axis=1)
        # A structure with fewer than k references fills its rows with no reference, at any distance.
        squared = np.concatenate([distances for distances, _ in found], axis=1)
        squared[references == NO_REFERENCE] = np.inf
        nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
        return np.take_along_axis(squared, nearest, axis=1), np.take_along_axis(references, nearest, axis=1)


def _side_by_side(structures: Sequence[faiss.Index], probes: Float32, k: int) -> list[tuple[Float32, Int64]]:
    """Search each structure in a thread of its own, the first one in this; no FAISS thread helps any of them."""
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
    """For all searches of the process. The number of FAISS's threads is each thread's own setting."""
    return ThreadPoolExecutor(os.cpu_count(), "search", initializer=lambda: faiss.omp_set_num_threads(1))
