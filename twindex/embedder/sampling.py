"""Which photos make a batch: subject-disjoint splits, and identity-balanced batches. NumPy only.

Every choice is a pure function of a seed and a step number, so that training resumed after a kill sees the same
batches.
"""

import numpy as np

from twindex.types import Int64


def split_subjects(subjects: Int64, held_out: float, seed: int) -> tuple[Int64, Int64]:
    """Photo indices for training and for holding out, with no subject in both.

    Args:
        subjects: (n,) integer label of each photo.
        held_out: Share of the subjects to hold out, from 0 to below 1.

    Raises:
        ValueError: `held_out` is outside [0, 1).
    """
    if not 0 <= held_out < 1:
        raise ValueError(f"Expected a held-out share from 0 to below 1, got {held_out}.")
    known = np.unique(subjects)
    shuffled = np.random.default_rng(seed).permutation(known)
    kept_apart = shuffled[: round(held_out * len(known))]
    apart = np.isin(subjects, kept_apart)
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def shuffled_batch(photos: int, size: int, step: int, seed: int) -> Int64:
    """Batch `step` of an endless run of epochs, each a fresh shuffle of all photo indices; (size,) int64."""
    positions = np.arange(step * size, (step + 1) * size)
    batch = np.empty(size, np.int64)
    for epoch in np.unique(positions // photos):
        order = np.random.default_rng([seed, int(epoch)]).permutation(photos)
        inside = positions // photos == epoch
        batch[inside] = order[positions[inside] % photos]
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
