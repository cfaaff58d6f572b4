"""Which photos make a batch: shuffled ones, and identity-balanced ones. NumPy only.

Every choice is a pure function of a seed and a step number, so that training resumed after a kill sees the same
batches.
"""

from collections.abc import Sequence

import numpy as np

from twindex.types import Int64


def shuffled_batch(photos: int, size: int, step: int, seed: int) -> Int64:
    """Batch `step` of an endless run of epochs, each a fresh shuffle of all photo indices; (size,) int64."""
    positions = np.arange(step * size, (step + 1) * size)
    batch = np.empty(size, np.int64)
    for epoch in np.unique(positions // photos):
        order = np.random.default_rng([seed, int(epoch)]).permutation(photos)
        inside = positions // photos == epoch
        batch[inside] = order[positions[inside] % photos]
    return batch


def weighted_batch(pools: Sequence[Int64], weights: Sequence[float], size: int, step: int, seed: int) -> Int64:
    """Batch `step` of photos drawn from several pools; (size,) int64.

    In an epoch each pool gives `weight` times as many photos as it has, rounded. The next epoch continues in the pool
    where this one ended, so that every photo of a pool comes equally often.

    Args:
        pools: Photo indices, (n,) int64 each.
        weights: How often a photo of each pool comes in an epoch, above 0.
    """
    counts = [max(1, round(weight * len(pool))) for pool, weight in zip(pools, weights, strict=True)]
    positions = np.arange(step * size, (step + 1) * size)
    batch = np.empty(size, np.int64)
    for epoch in np.unique(positions // sum(counts)):
        drawn = [
            pool[shuffled_batch(len(pool), count, int(epoch), seed + number)]
            for number, (pool, count) in enumerate(zip(pools, counts, strict=True))
        ]
        order = np.random.default_rng([seed, int(epoch)]).permutation(np.concatenate(drawn))
        inside = positions // sum(counts) == epoch
        batch[inside] = order[positions[inside] % sum(counts)]
    return batch


def balanced_batch(subjects: Int64, people: int, photos: int, step: int, seed: int) -> Int64:
    """Identity-balanced batch `step`: `people` subjects with `photos` photos each, in a row; (people * photos,) int64.

    A subject with fewer photos repeats them. Subjects come in shuffled epochs, as in `shuffled_batch`.
    """
    groups = _groups(subjects)
    chosen = shuffled_batch(len(groups), people, step, seed)
    random = np.random.default_rng([seed, step, 1])
    picks = [random.choice(groups[one], photos, replace=len(groups[one]) < photos) for one in chosen]
    return np.concatenate(picks).astype(np.int64)


def _groups(subjects: Int64) -> list[Int64]:
    order = np.argsort(subjects, kind="stable")
    edges = np.flatnonzero(np.diff(subjects[order])) + 1
    return list(np.split(order, edges))
