"""The interface of every index, and the result of a search."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twindex.types import Float32, Int64

NO_REFERENCE = -1
"""Fills `Hits.references` if fewer references were found than requested; its distance is infinite."""


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest references of each probe, nearest first.

    Attributes:
        distances: (q, k) float32, Euclidean (not squared), ascending; infinite beside `NO_REFERENCE`.
        references: (q, k) int64 ids, ordered by id if distances are equal; `NO_REFERENCE` fills the end of a row if
            fewer than k references were found.
    """

    distances: Float32
    references: Int64

    def __post_init__(self) -> None:
        if self.distances.ndim != 2 or self.distances.shape != self.references.shape:
            raise ValueError(
                f"Expected distances and references of one shape (q, k), got {self.distances.shape} and "
                f"{self.references.shape}."
            )
        for name, values in (("distances", self.distances), ("references", self.references)):
            view = values.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @classmethod
    def ranked(cls, distances: Float32, references: Int64, k: int) -> "Hits":
        """Sort each row and pad it to `k` columns.

        Args:
            distances: (q, m) float32 with m <= k, in any order.
            references: (q, m) int64; `NO_REFERENCE` marks an entry to ignore, whatever its distance.
            k: How many columns the result has.

        Returns:
            Hits of shape (q, k).
        """
        rows, columns = references.shape
        padded_distances = np.full((rows, k), np.inf, dtype=np.float32)
        padded_references = np.full((rows, k), NO_REFERENCE, dtype=np.int64)
        known = np.where(references == NO_REFERENCE, np.float32(np.inf), distances)
        order = np.lexsort((references, known), axis=-1)
        padded_distances[:, :columns] = np.take_along_axis(known, order, axis=1)
        padded_references[:, :columns] = np.take_along_axis(references, order, axis=1)
        return cls(padded_distances, padded_references)


class VectorIndex(Protocol):
    """Unit-length vectors under integer ids, searched by Euclidean distance.

    Several threads may search at once. Around `add` and `remove` the caller must hold a lock: nothing else may run
    then.
    """

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def count(self) -> int:
        """Number of live references: those added and not removed."""
        ...

    def add(self, references: Int64, vectors: Float32) -> None:
        """Make vectors searchable.

        Args:
            references: (n,) int64, not negative, distinct, none of them present.
            vectors: (n, dim) float32, unit length.

        Raises:
            ValueError: A wrong shape or dtype, an id that is negative, repeated or present, or a vector that is
                not finite. Then nothing was added.
        """
        ...

    def remove(self, references: Int64) -> int:
        """Remove references; absent ids are ignored.

        Args:
            references: (n,) int64.

        Returns:
            How many were present.

        Raises:
            ValueError: A wrong shape or dtype.
        """
        ...

    def search(self, probes: Float32, k: int) -> Hits:
        """The `k` nearest live references of each probe.

        Args:
            probes: (q, dim) float32, unit length.
            k: At least 1; may exceed `count`.

        Returns:
            Hits of shape (q, k).

        Raises:
            ValueError: A wrong shape or dtype, a probe that is not finite, or k below 1.
        """
        ...

    def contains(self, references: Int64) -> NDArray[np.bool_]:
        """Which references are live.

        Args:
            references: (n,) int64.

        Returns:
            (n,) bool.

        Raises:
            ValueError: A wrong shape or dtype.
        """
        ...
