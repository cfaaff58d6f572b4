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
        distances: (n,) float64; infinity where a photo of the pair had no usable face.
        mated: (n,) bool, whether the pair shows one person.
        folds: (n,) int64, which fold a pair is in, from 0.

    Raises:
        ValueError: The lengths differ, or a kind of pair is missing.
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
        thresholds: What is below is accepted.
        fmr: Share of non-mated pairs accepted.
        fnmr: Share of mated pairs not accepted.
    """

    thresholds: Float64
    fmr: Float64
    fnmr: Float64


def roc(scores: PairScores) -> Roc:
    """Both error rates at every threshold that makes a difference."""
    thresholds = _edges(scores.distances)
    fmr = np.searchsorted(np.sort(scores.of_non_mated), thresholds, side="left") / len(scores.of_non_mated)
    fnmr = 1 - np.searchsorted(np.sort(scores.of_mated), thresholds, side="left") / len(scores.of_mated)
    return Roc(thresholds, fmr, fnmr)


def fnmr_at_fmr(scores: PairScores, fmr: float) -> float:
    """Share of mated pairs not accepted, where at most a share `fmr` of the non-mated pairs is."""
    return 1 - share_below(scores.of_mated, threshold_at(fmr, scores.of_non_mated))


def decidability(scores: PairScores) -> float | None:
    """How far apart the two kinds of pairs lie: the difference of their mean distances over their pooled deviation.

    d' of J. Daugman, "Biometric decision landscapes" (2000). It rests on all comparable pairs, so it tells models apart
    that make the same few errors. Pairs with a photo without a usable face are left out.

    Returns:
        d', higher is better; None where no kind's distances vary.
    """
    mated, others = (kind[np.isfinite(kind)] for kind in (scores.of_mated, scores.of_non_mated))
    if not len(mated) or not len(others):
        return None
    deviation = np.sqrt((mated.var() + others.var()) / 2)
    return float((others.mean() - mated.mean()) / deviation) if deviation > 0 else None


def fold_accuracies(scores: PairScores) -> Float64:
    """Accuracy on each fold at the threshold that is best on all others (Huang et al. 2007, LFW View 2).

    With one fold only, the accuracy at that fold's own best threshold.

    Returns:
        (folds,) float64, in the order of the folds' numbers.
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
    """The threshold with the most right decisions; the middle one where several are alike."""
    thresholds = _edges(distances)
    accepted_mated = np.searchsorted(np.sort(distances[mated]), thresholds, side="left")
    accepted_others = np.searchsorted(np.sort(distances[~mated]), thresholds, side="left")
    right = accepted_mated + (~mated).sum() - accepted_others
    best = np.flatnonzero(right == right.max())
    return float(thresholds[best[len(best) // 2]])


def _edges(distances: Float64) -> Float64:
    """Thresholds half-way between neighbouring distances, one below all and one above all finite ones."""
    finite = np.unique(distances[np.isfinite(distances)])
    if not len(finite):
        return np.zeros(1)
    between = (finite[:-1] + finite[1:]) / 2
    edges: Float64 = np.concatenate([[finite[0]], between, [np.nextafter(finite[-1], np.inf)]])
    return edges
