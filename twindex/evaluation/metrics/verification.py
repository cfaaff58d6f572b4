"""1:1 verification of pairs: ROC, FNMR at an FMR, and accuracy by cross-validation over folds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twindex.scoring import Float64, share_below, threshold_at
from twindex.types import Int64


@dataclass(frozen=True, eq=False)
class PairScores:
    """The distances of labelled pairs.

    Attributes:
        distances: (n,) float64; infinity if a photo of the pair has no usable face.
        mated: (n,) bool, whether the pair shows the same person.
        folds: (n,) int64, each pair's fold, from 0.

    Raises:
        ValueError: The lengths differ, or one kind of pair is missing.
    """

    distances: Float64
    mated: NDArray[np.bool_]
    folds: Int64

    def __post_init__(self) -> None:
        if not len(self.distances) == len(self.mated) == len(self.folds):
            raise ValueError("Expected as many distances as labels and folds.")
        if self.mated.all() or not self.mated.any():
            raise ValueError("Expected mated and non-mated pairs.")

    @property
    def of_mated(self) -> Float64:
        return self.distances[self.mated]

    @property
    def of_non_mated(self) -> Float64:
        return self.distances[~self.mated]


@dataclass(frozen=True, eq=False)
class Roc:
    """A receiver operating characteristic; all arrays (n,) float64, thresholds rising.

    Attributes:
        thresholds: Distances below are accepted.
        fmr: Share of non-mated pairs accepted.
        fnmr: Share of mated pairs not accepted.
    """

    thresholds: Float64
    fmr: Float64
    fnmr: Float64


def roc(scores: PairScores) -> Roc:
    """Both error rates at every threshold that changes a decision."""
    thresholds = _edges(scores.distances)
    fmr = np.searchsorted(np.sort(scores.of_non_mated), thresholds, side="left") / len(scores.of_non_mated)
    fnmr = 1 - np.searchsorted(np.sort(scores.of_mated), thresholds, side="left") / len(scores.of_mated)
    return Roc(thresholds, fmr, fnmr)


def fnmr_at_fmr(scores: PairScores, fmr: float) -> float:
    """Share of mated pairs rejected, at the threshold that accepts at most a share `fmr` of the non-mated pairs."""
    return 1 - share_below(scores.of_mated, threshold_at(fmr, scores.of_non_mated))


def decidability(scores: PairScores) -> float | None:
    """How far apart mated and non-mated pairs lie: the difference of their mean distances over their pooled deviation.

    d' of J. Daugman, "Biometric decision landscapes" (2000). It uses all comparable pairs, so it distinguishes models
    that make the same few errors. Pairs with an unusable photo are left out.

    Returns:
        d', higher is better; None if neither kind's distances vary, or a kind has no comparable pair.
    """
    mated, others = (kind[np.isfinite(kind)] for kind in (scores.of_mated, scores.of_non_mated))
    if not len(mated) or not len(others):
        return None
    deviation = np.sqrt((mated.var() + others.var()) / 2)
    return float((others.mean() - mated.mean()) / deviation) if deviation > 0 else None


def fold_accuracies(scores: PairScores) -> Float64:
    """Accuracy on each fold at the threshold that is best on all others (Huang et al. 2007, LFW View 2).

    A single fold is tested at its own best threshold.

    Returns:
        (folds,) float64, in the order of the fold numbers.
    """
    numbers = np.unique(scores.folds)
    accuracies = []
    for number in numbers:
        tested = scores.folds == number
        learned = np.ones_like(tested) if len(numbers) == 1 else ~tested
        threshold = _best_threshold(scores.distances[learned], scores.mated[learned])
        accuracies.append(np.mean((scores.distances[tested] < threshold) == scores.mated[tested]))
    return np.array(accuracies, dtype=np.float64)


def _best_threshold(distances: Float64, mated: NDArray[np.bool_]) -> float:
    """The threshold with the most right decisions; the middle one of several equally good ones."""
    thresholds = _edges(distances)
    accepted_mated = np.searchsorted(np.sort(distances[mated]), thresholds, side="left")
    accepted_others = np.searchsorted(np.sort(distances[~mated]), thresholds, side="left")
    right = accepted_mated + (~mated).sum() - accepted_others
    best = np.flatnonzero(right == right.max())
    return float(thresholds[best[len(best) // 2]])


def _edges(distances: Float64) -> Float64:
    """Thresholds half-way between neighbouring finite distances, and one below and one above them all."""
    finite = np.unique(distances[np.isfinite(distances)])
    if not len(finite):
        return np.zeros(1)
    between = (finite[:-1] + finite[1:]) / 2
    edges: Float64 = np.concatenate([[finite[0]], between, [np.nextafter(finite[-1], np.inf)]])
    return edges
