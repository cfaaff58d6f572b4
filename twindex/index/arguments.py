"""Checks of an index's arguments, so that no back-end gets values that it would silently accept.

FAISS accepts repeated ids and NaN without an error, and gives wrong answers afterwards.
"""

import numpy as np

from twindex.types import Float32, Int64


def checked_ids(references: Int64) -> Int64:
    """Check ids to look up.

    Args:
        references: (n,) int64.

    Returns:
        The same.

    Raises:
        ValueError: It is not a one-dimensional int64 array.
    """
    if references.dtype != np.int64 or references.ndim != 1:
        raise ValueError(
            f"References must be an int64 array of shape (n,), got {references.dtype} of shape {references.shape}."
        )
    return references


def checked_new_ids(references: Int64, count: int) -> Int64:
    """Check ids to add.

    Args:
        references: (n,) int64, not negative, distinct.
        count: How many vectors are to be added with them.

    Returns:
        The same.

    Raises:
        ValueError: A wrong dtype or shape, another number than `count`, a negative id or a repeated one.
    """
    checked_ids(references)
    if len(references) != count:
        raise ValueError(f"Each vector needs one reference, got {len(references)} references for {count} vectors.")
    if (references < 0).any():
        raise ValueError(f"References must not be negative, got {references.min()}.")
    ordered = np.sort(references)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if repeated.size:
        raise ValueError(f"References must be distinct, but {repeated[0]} is given more than once.")
    return references


def checked_vectors(vectors: Float32, dim: int) -> Float32:
    """Check vectors or probes, and lay them out as FAISS reads them.

    Args:
        vectors: (n, dim) float32, finite.
        dim: Expected length of each.

    Returns:
        The same values, C-contiguous; a copy only where needed.

    Raises:
        ValueError: A wrong dtype or shape, or a value that is NaN or infinite.
    """
    if vectors.dtype != np.float32:
        raise ValueError(f"Vectors must be float32, got {vectors.dtype}; convert them first.")
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"Vectors must have the shape (n, {dim}), got {vectors.shape}.")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"Vectors must be finite, but row {int(np.argmin(finite))} holds NaN or infinity.")
    return np.ascontiguousarray(vectors)


def checked_k(k: int) -> int:
    """Check how many candidates a search is to find.

    Raises:
        ValueError: It is below 1.
    """
    if k < 1:
        raise ValueError(f"A search needs k of at least 1, got {k}.")
    return k
