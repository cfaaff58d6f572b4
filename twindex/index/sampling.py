"""A uniform sample of vectors that arrive in batches, in memory that does not grow with their number."""

from collections.abc import Iterable

import numpy as np

from twindex.types import Float32


def reservoir(batches: Iterable[Float32], dim: int, size: int, seed: int) -> Float32:
    """Draw vectors so that each had the same chance (Vitter, "Random sampling with a reservoir", 1985, algorithm R).

    Args:
        batches: Arrays (n, dim) float32.
        dim: Length of a vector.
        size: Most vectors to keep.
        seed: Same seed and same vectors in the same order, however batched: same sample.

    Returns:
        (m, dim) float32; m is `size`, or the number of vectors when that is smaller.
    """
    random = np.random.default_rng(seed)
    kept = np.empty((size, dim), dtype=np.float32)
    seen = 0
    for batch in batches:
        filling = batch[: max(0, size - seen)]
        kept[seen : seen + len(filling)] = filling
        rest = batch[len(filling) :]
        ranks = np.arange(seen + len(filling), seen + len(batch))
        slots = random.integers(0, ranks + 1)
        chosen = slots < size
        # A slot drawn twice takes the later vector: NumPy assigns repeated indices in order.
        kept[slots[chosen]] = rest[chosen]
        seen += len(batch)
    return kept[: min(seen, size)]
