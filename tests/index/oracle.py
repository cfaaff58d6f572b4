"""Exact search in NumPy, slow but obviously right: the oracle that FAISS is tested against."""

import numpy as np
from numpy.typing import NDArray

from twindex.index.arguments import checked_ids, checked_k, checked_new_ids, checked_vectors
from twindex.index.protocol import Hits
from twindex.types import Float32, Int64


class ExactIndex:
    """A `VectorIndex` that computes every distance in float64; equal distances are ordered by id.

    Args:
        dim: Length of a vector.

    Raises:
        ValueError: `dim` is below 1.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"Vectors need a length of at least 1, got {dim}.")
        self._dim = dim
        self._references: Int64 = np.empty(0, dtype=np.int64)
        self._vectors: Float32 = np.empty((0, dim), dtype=np.float32)

    @property
    def dim(self) -> int:
        """See `VectorIndex.dim`."""
        return self._dim

    @property
    def count(self) -> int:
        """See `VectorIndex.count`."""
        return len(self._references)

    def add(self, references: Int64, vectors: Float32) -> None:
        """See `VectorIndex.add`."""
        vectors = checked_vectors(vectors, self._dim)
        checked_new_ids(references, len(vectors))
        present = self.contains(references)
        if present.any():
            raise ValueError(f"Reference {references[present][0]} is in the index already; remove it first.")
        self._references = np.concatenate([self._references, references])
        self._vectors = np.concatenate([self._vectors, vectors])

    def remove(self, references: Int64) -> int:
        """See `VectorIndex.remove`."""
        gone = np.isin(self._references, checked_ids(references))
        self._references = self._references[~gone]
        self._vectors = self._vectors[~gone]
        return int(gone.sum())

    def search(self, probes: Float32, k: int) -> Hits:
        """See `VectorIndex.search`."""
        probes = checked_vectors(probes, self._dim)
        found = min(checked_k(k), self.count)
        distances = np.empty((len(probes), found), dtype=np.float32)
        references = np.empty((len(probes), found), dtype=np.int64)
        gallery = self._vectors.astype(np.float64)
        # One probe at a time, by differences: unlike a matrix product, this gives identical vectors identical
        # distances.
        for row, probe in enumerate(probes.astype(np.float64)):
            every = np.sqrt(np.square(gallery - probe).sum(axis=1)).astype(np.float32)
            nearest = np.lexsort((self._references, every))[:found]
            distances[row] = every[nearest]
            references[row] = self._references[nearest]
        return Hits.ranked(distances, references, k)

    def contains(self, references: Int64) -> NDArray[np.bool_]:
        """See `VectorIndex.contains`."""
        return np.isin(checked_ids(references), self._references)
