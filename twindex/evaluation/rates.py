"""Error rates and their intervals. A distance of infinity stands for a photo without a usable face: never accepted."""

import math

import numpy as np
from scipy.stats import beta

from twindex.config import COUNT_TOLERANCE
from twindex.scoring import Float64

Interval = tuple[float, float]
_COVERAGE = 0.95  # of intervals


def threshold_at(false_accept_rate: float, impostors: Float64) -> float:
    """The largest distance below which at most a share of impostor attempts lies.

    Args:
        false_accept_rate: The share allowed, from 0 to 1.
        impostors: (n,) distances of attempts that should be rejected; n is at least 1.

    Returns:
        A distance t; what is *below* t is accepted. Infinity where all may be accepted.

    Raises:
        ValueError: There are no attempts, or the rate is out of range.
    """
    if not len(impostors) or not 0 <= false_accept_rate <= 1:
        raise ValueError(f"Expected attempts and a rate from 0 to 1, got {len(impostors)} and {false_accept_rate}.")
    allowed = math.floor(false_accept_rate * len(impostors) + COUNT_TOLERANCE)
    ordered = np.sort(impostors)
    return math.inf if allowed == len(ordered) else float(ordered[allowed])


def share_below(distances: Float64, threshold: float) -> float:
    """The share of attempts that a threshold accepts."""
    return float(np.mean(distances < threshold))


def binomial_interval(events: int, attempts: int) -> Interval:
    """Confidence interval of a rate (Clopper and Pearson 1934): its coverage is 95 % or more.

    Args:
        events, attempts: How often it happened, of how many.

    Returns:
        Lowest and highest rate.

    Raises:
        ValueError: There are no attempts, or more events than attempts.
    """
    if not 0 <= events <= attempts or attempts == 0:
        raise ValueError(f"Expected from 0 to {attempts} events and at least one attempt, got {events}.")
    tail = (1 - _COVERAGE) / 2
    low = 0.0 if events == 0 else float(beta.ppf(tail, events, attempts - events + 1))
    high = 1.0 if events == attempts else float(beta.ppf(1 - tail, events + 1, attempts - events))
    return low, high


def rate_interval(rate: float, attempts: int) -> Interval:
    """`binomial_interval` for a rate measured on that number of attempts."""
    return binomial_interval(round(rate * attempts), attempts)
