"""Whether probabilities are calibrated: reliability diagram, expected calibration error, Brier score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twindex.scoring import Float64
from twindex.types import Int64

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram over bins of equal width; each array has one value per non-empty bin.

    Attributes:
        predicted: Mean probability.
        observed: Share of mated pairs.
        counts: Number of pairs.
    """

    predicted: Float64
    observed: Float64
    counts: Int64

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |observed - predicted|, weighted by the bins' counts (Naeini, Cooper and Hauskrecht 2015)."""
        return float(np.average(np.abs(self.observed - self.predicted), weights=self.counts))


def reliability(probabilities: Float64, mated: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Compare probabilities with outcomes.

    Args:
        probabilities: (n,) from 0 to 1; n is at least 1.
        mated: (n,) bool.
        bins: Number of bins; 1 belongs to the last.

    Raises:
        ValueError: The lengths differ, there is no pair, or a probability is out of range.
    """
    if len(probabilities) != len(mated) or not len(mated):
        raise ValueError(f"Expected as many labels as probabilities, got {len(mated)} and {len(probabilities)}.")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("Expected probabilities from 0 to 1.")
    number = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(number, weights=probabilities, minlength=bins)[filled] / counts[filled]
    observed = np.bincount(number, weights=mated.astype(np.float64), minlength=bins)[filled] / counts[filled]
    return Reliability(predicted, observed, counts[filled])


def brier_score(probabilities: Float64, mated: NDArray[np.bool_]) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); 0 is best, a coin toss scores 0.25."""
    return float(np.mean((probabilities - mated) ** 2))
