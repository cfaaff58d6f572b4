"""A uniform sample of vectors that arrive in batches, in bounded memory."""

from collections.abc import Iterable

import numpy as np

from twindex.types import Float32


def reservoir(batches: Iterable[Float32], dim: int, size: int, seed: int) -> Float32:
    """Draw vectors, each with the same probability (Vitter, "Random sampling with a reservoir", 1985, algorithm R).

    Args:
        batches: Arrays (n, dim) float32.
        dim: Length of a vector.
        size: How many vectors to keep at most.
        seed: The same seed and the same vectors in the same order give the same sample, however they are batched.

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
        # A slot that is drawn twice gets the later vector, because NumPy assigns repeated indices in order.
        kept[slots[chosen]] = rest[chosen]
        seen += len(batch)
    return kept[: min(seen, size)]
