"""Pairs and triplets drawn at random from labelled photos. NumPy only."""

import numpy as np

from twindex.errors import UsageError
from twindex.types import Float32, Int64


def draw_pairs(subjects: Int64, count: int, seed: int = 0) -> tuple[Int64, Int64, Float32]:
    """Pairs of different photos, every other one of them of the same person.

    Args:
        subjects: (n,) integer labels, equal for the same person.
        count: Number of pairs.
        seed: Of what is drawn.

    Returns:
        Numbers of the first and of the second photos, (count,) int64 each, and (count,) float32: 1 for the same person,
        else 0.

    Raises:
        UsageError: There is only one person, or nobody has two photos.
    """
    first, mate, other = draw_triplets(subjects, count, seed)
    same = np.arange(count) % 2 == 0
    return first, np.where(same, mate, other), same.astype(np.float32)


def draw_triplets(subjects: Int64, count: int, seed: int = 0) -> tuple[Int64, Int64, Int64]:
    """Triplets of photos: an anchor, another photo of the same person, and a photo of somebody else.

    Args:
        subjects: (n,) integer labels, equal for the same person.
        count: Number of triplets.
        seed: Of what is drawn.

    Returns:
        Numbers of the anchors, the positives and the negatives, (count,) int64 each.

    Raises:
        UsageError: There is only one person, or nobody has two photos.
    """
    known, photos = np.unique(subjects, return_counts=True)
    if len(known) < 2 or photos.max() < 2:
        raise UsageError("Pairs need photos of at least two people, and two photos of one of them.")
    random = np.random.default_rng(seed)
    anchors = random.choice(np.flatnonzero(np.isin(subjects, known[photos > 1])), count)
    positives, negatives = np.empty_like(anchors), np.empty_like(anchors)
    for place, anchor in enumerate(anchors):
        same = subjects == subjects[anchor]
        negatives[place] = random.choice(np.flatnonzero(~same))
        same[anchor] = False
        positives[place] = random.choice(np.flatnonzero(same))
    return anchors, positives, negatives
