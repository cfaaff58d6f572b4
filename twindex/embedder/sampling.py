"""Which photos make a batch: subject-disjoint splits, pairs, and identity-balanced batches. NumPy only.

Every choice is a pure function of a seed and a step number, so that training resumed after a kill sees the same
batches.
"""

from dataclasses import dataclass

import numpy as np

from twindex.types import Int64


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photos by index: `first` and `second` (n,) int64, `mated` (n,) bool."""

    first: Int64
    second: Int64
    mated: np.ndarray[tuple[int], np.dtype[np.bool_]]


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


def sample_pairs(subjects: Int64, count: int, seed: int) -> Pairs:
    """Half mated, half non-mated pairs, drawn with replacement.

    Args:
        subjects: (n,) integer label of each photo.
        count: Number of pairs; the larger half is non-mated.

    Raises:
        ValueError: No subject has two photos, or there is only one subject.
    """
    groups = _groups(subjects)
    several = [group for group in groups if len(group) > 1]
    if not several or len(groups) < 2:
        raise ValueError("Pairs need two subjects, one of them with two photos.")
    random = np.random.default_rng(seed)
    pairs = [_mated(several, random) for _ in range(count // 2)]
    pairs += [_non_mated(groups, random) for _ in range(count - count // 2)]
    first, second = np.array(pairs, np.int64).T
    return Pairs(first, second, np.arange(count) < count // 2)


def shuffled_batch(photos: int, size: int, step: int, seed: int) -> Int64:
    """Batch `step` of an endless run of epochs, each a fresh shuffle of all photo indices."""
    positions = np.arange(step * size, (step + 1) * size)
    batch = np.empty(size, np.int64)
    for epoch in np.unique(positions // photos):
        order = np.random.default_rng([seed, int(epoch)]).permutation(photos)
        inside = positions // photos == epoch
        batch[inside] = order[positions[inside] % photos]
    return batch


def balanced_batch(subjects: Int64, people: int, photos: int, step: int, seed: int) -> Int64:
    """Identity-balanced batch `step`: `people` subjects with `photos` photos each, in a row.

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


def _mated(groups: list[Int64], random: np.random.Generator) -> tuple[int, int]:
    first, second = random.choice(groups[random.integers(len(groups))], 2, replace=False)
    return int(first), int(second)


def _non_mated(groups: list[Int64], random: np.random.Generator) -> tuple[int, int]:
    one, other = random.choice(len(groups), 2, replace=False)
    return int(random.choice(groups[one])), int(random.choice(groups[other]))
