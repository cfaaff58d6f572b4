"""The index that a gallery searches: one or several FAISS structures of `spec.py` behind `VectorIndex`."""

from collections.abc import Callable, Iterator, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from twindex.errors import IntegrityError, TwindexError
from twindex.index.arguments import checked_ids, checked_k, checked_new_ids, checked_vectors
from twindex.index.faiss_errors import wrap_faiss
from twindex.index.fast_scan import remove_codes
from twindex.index.graph import bury, search_graph
from twindex.index.protocol import Hits
from twindex.index.sampling import reservoir
from twindex.index.serialization import from_bytes, to_bytes
from twindex.index.shards import Shards, shard_count
from twindex.index.sorted_ids import frozen_ids, member, united, without
from twindex.index.spec import IndexSpec
from twindex.index.structure import describe, empty_structure, exhaustive_structure, parts, train
from twindex.types import Float32, Int64

Batches = Callable[[], Iterator[tuple[Int64, Float32]]]
"""Each call starts again from the first reference: batches of (n,) ids and (n, dim) unit-length float32 vectors."""

_SEED = 20_160
_REMEDY = "Rebuild the index from the store; if that fails too, choose another index."


class FaissIndex:
    """A `VectorIndex` over a FAISS structure.

    Flat, HNSW and IVF,Flat structures give the distances of the vectors; their squares are accurate to 2e-6. SQ8, PQ
    and OPQ or PCA structures give estimates, which the caller replaces by exact distances.

    FAISS uses as many threads as OpenMP gives it. A search gives the same result with any number of threads. So does
    building, except for HNSW (threads link nodes in no fixed order) and for OPQ and PCA (which use LAPACK).

    Threads: see `VectorIndex`.

    Args:
        spec: The specification the structures were built from.
        structures: Trained structures of `structure.py`, all of the same kind; this object owns them from now on.

    Raises:
        IntegrityError: A reference is in the structures twice, or an id is negative.
    """

    def __init__(self, spec: IndexSpec, structures: Sequence[faiss.Index]) -> None:
        self.spec = spec
        self._shards = Shards(structures)
        self._is_graph = isinstance(parts(structures[0])[-1], faiss.IndexHNSW)
        self.exact_structure = spec.needs_training and describe(structures[0]) == describe(
            exhaustive_structure(self.dim)
        )
        """Whether the search is exact because there were fewer references than training needs."""
        ids = np.sort(self._shards.ids())
        if self._is_graph:
            ids = ids[np.searchsorted(ids, 0) :]
        if (ids < 0).any() or (ids[1:] == ids[:-1]).any():
            raise IntegrityError(f"The index holds references that are repeated or negative. {_REMEDY}")
        self._live = frozen_ids(ids)

    @classmethod
    def build(
        cls, spec: IndexSpec, dim: int, batches: Batches, count: int, training: Batches | None = None
    ) -> "FaissIndex":
        """Train a structure on a sample of the references, then add all of them in batches.

        With fewer references than `spec.minimum_references` an exact structure is built instead, so that a gallery with
        only three people left still has an index. `exact_structure` shows this.

        Args:
            spec: What to build.
            dim: Length of a vector.
            batches: The references; read twice if the spec needs training and `training` is None.
            count: About how many references there are; this decides whether to train, and on how large a sample.
            training: Some of the references, at least `spec.training_points`, to draw the training sample from if
                reading all references twice would take too long; None to draw it from all.

        Returns:
            An index of all references.

        Raises:
            UsageError: The spec does not suit vectors of this length.
            ValueError: A batch that `add` refuses.
            TwindexError: FAISS failed.
        """
        spec.check_dim(dim)
        ready = _ready_structure(spec, dim, training or batches, count)
        index = cls(spec, [ready, *(faiss.clone_index(ready) for _ in range(1, shard_count(spec, count)))])
        for references, vectors in batches():
            index.add(references, vectors)
        return index

    @classmethod
    def deserialize(cls, spec: IndexSpec, data: bytes | memoryview, dim: int, count: int) -> "FaissIndex":
        """An index from the bytes that `serialize` returned.

        Args:
            spec: The specification it was built from.
            data: The bytes; the caller must have compared a checksum, because FAISS does not detect most damage.
            dim: Length of a vector.
            count: How many live references it must have.

        Returns:
            The index, equal to the one that was serialised.

        Raises:
            IntegrityError: The bytes are damaged, or do not fit spec, dim and count.
        """
        index = cls(spec, from_bytes(spec, data, dim))
        if index.count != count:
            raise IntegrityError(f"The stored index holds {index.count} references, expected {count}. {_REMEDY}")
        return index

    def serialize(self) -> bytes:
        """The structures in FAISS's format, one after another, including tombstones.

        Raises:
            TwindexError: FAISS failed.
        """
        return to_bytes(self._shards.structures)

    @property
    def dim(self) -> int:
        """See `VectorIndex.dim`."""
        return self._shards.dim

    @property
    def count(self) -> int:
        """See `VectorIndex.count`."""
        return len(self._live)

    @property
    def is_exhaustive(self) -> bool:
        """Whether a search compares every vector, so that its candidates are the exact nearest references."""
        return self.exact_structure or self.spec.text == "Flat"

    @property
    def stale_share(self) -> float:
        """Share of entries that are removed but still stored (HNSW only), from 0 to 1; rebuilding makes it 0."""
        entries = self._shards.entries
        return (entries - self.count) / entries if entries else 0.0

    def references(self) -> Int64:
        """The live references: (count,) int64, ascending, read-only."""
        return self._live

    def contains(self, references: Int64) -> NDArray[np.bool_]:
        """See `VectorIndex.contains`."""
        return member(self._live, checked_ids(references))

    def add(self, references: Int64, vectors: Float32) -> None:
        """See `VectorIndex.add`.

        Raises:
            TwindexError: FAISS failed; the index must be rebuilt.
        """
        vectors = checked_vectors(vectors, self.dim)
        present = self.contains(checked_new_ids(references, len(vectors)))
        if present.any():
            raise ValueError(f"Reference {references[present][0]} is in the index already; remove it first.")
        if not len(references):
            return
        with wrap_faiss(f"adding {len(references)} vectors", TwindexError, _REMEDY):
            self._shards.add(references, vectors)
        self._live = united(self._live, references)

    def remove(self, references: Int64) -> int:
        """See `VectorIndex.remove`. A graph keeps tombstones, see `stale_share`.

        Raises:
            TwindexError: FAISS failed; the index must be rebuilt.
        """
        gone = np.unique(references[self.contains(references)])
        if not len(gone):
            return 0
        with wrap_faiss(f"removing {len(gone)} vectors", TwindexError, _REMEDY):
            for structure in self._shards.structures:
                self._remove_from(structure, gone)
        self._live = without(self._live, gone)
        return len(gone)

    def _remove_from(self, structure: faiss.Index, references: Int64) -> None:
        if self._is_graph:
            bury(structure, references)
        elif self.spec.fast_scan and not self.exact_structure:
            remove_codes(structure, references)
        else:
            structure.remove_ids(references)

    def search(self, probes: Float32, k: int) -> Hits:
        """See `VectorIndex.search`.

        Raises:
            TwindexError: FAISS failed.
        """
        probes = checked_vectors(probes, self.dim)
        wanted = min(checked_k(k), self.count)
        if wanted == 0 or not len(probes):
            return Hits.ranked(np.empty((len(probes), 0), np.float32), np.empty((len(probes), 0), np.int64), k)
        with wrap_faiss(f"searching {len(probes)} probes", TwindexError, _REMEDY):
            if self._is_graph:
                squared, references = search_graph(self._shards.structures[0], probes, wanted)
            else:
                squared, references = self._shards.search(probes, wanted)
        # FAISS returns squared distances; rounding can make that of a vector to itself slightly negative.
        return Hits.ranked(np.sqrt(np.maximum(squared, 0)), references, k)


def _ready_structure(spec: IndexSpec, dim: int, batches: Batches, count: int) -> faiss.Index:
    """A structure ready for vectors: the spec's, or an exact one if there are too few references to train it."""
    sample = np.empty((0, dim), dtype=np.float32)
    if spec.needs_training and count >= spec.minimum_references:
        vectors = (checked_vectors(batch, dim) for _, batch in batches())
        sample = reservoir(vectors, dim, min(count, spec.training_points), _SEED)
    if len(sample) < spec.minimum_references:
        return exhaustive_structure(dim)
    with wrap_faiss(f'training an index "{spec.text}"', TwindexError, "Choose another index."):
        structure = empty_structure(spec, dim)
        if spec.needs_training:
            train(structure, sample)
    return structure
