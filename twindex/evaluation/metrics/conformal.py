"""A threshold that strangers pass at no more than a target rate: split-conformal, with its finite-sample bound.

It assumes that the strangers measured and those to come are *exchangeable*: the same cameras, population and gallery.
Then the guarantee holds for any number of strangers and any distribution of their scores. It is a mean over samples of
strangers; `fpir_interval` gives the spread for a single sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twindex.evaluation.metrics.beta import beta_quantile
from twindex.evaluation.metrics.rates import Interval
from twindex.scoring import COUNT_TOLERANCE, Float64


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on probability, and what is known about it.

    Attributes:
        threshold: A candidate with at least this probability is a match.
        fpir_bound: A new stranger is called somebody with at most this probability.
        fpir_interval: 95 % interval of this threshold's own FPIR.
        strangers: How many people it was measured on.
        enough: Whether these are enough for the target; if not, `fpir_bound` exceeds it.
    """

    threshold: float
    fpir_bound: float
    fpir_interval: Interval
    strangers: int
    enough: bool


def operating_point(scores: Sequence[Float64], target_fpir: float, *, mutual: bool = False) -> OperatingPoint:
    """The lowest threshold that keeps the rate, from each stranger's best scores against the whole gallery.

    Split-conformal quantile (Vovk, Gammerman and Shafer 2005); several photos of a stranger share that stranger's
    weight (hierarchical conformal, Lee, Barber and Willett 2023), so a person with many photos counts once.

    Args:
        scores: For each stranger (photos,) float64, the highest probability of any candidate for each photo.
        target_fpir: The rate to keep, between 0 and 1.
        mutual: Whether the people were compared with each other. Then one more must be counted: a newcomer who is
            nearest to the best of them raises that person's score to the same value. So of n + 1 people, each compared
            with the threshold of the others, up to k + 1 pass instead of k (two instead of one).

    Raises:
        ValueError: There is no stranger, a stranger has no photo, or the rate is out of range.
    """
    if not scores or any(not len(photos) for photos in scores) or not 0 < target_fpir < 1:
        raise ValueError("Expected strangers with a photo each, and a rate between 0 and 1.")
    people = len(scores)
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(len(photos), 1 / len(photos)) for photos in scores])
    order = np.argsort(-values, kind="stable")
    values, weights = values[order], weights[order]
    # The weight before each value. The stranger to come counts as one more, before all others. Equal values are ranked
    # one after the other: if only strictly higher ones counted, the bound would depend on the ties drawn.
    before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
    allowed = target_fpir * (people + 1) + COUNT_TOLERANCE
    counted = 2 if mutual else 1
    passing = np.flatnonzero(before + counted <= allowed)
    enough = len(passing) > 0
    last = int(passing[-1]) if enough else 0
    events = min(float(before[last]) + counted, float(people))
    # If the highest probability rounds to 1, the threshold lies above 1 and nobody matches.
    threshold = math.nextafter(float(values[last]), math.inf)
    return OperatingPoint(threshold, events / (people + 1), _interval(events, people), people, enough)


def strangers_needed(target_fpir: float, *, mutual: bool = False) -> int:
    """The smallest number of strangers that can promise a rate; see `operating_point`."""
    return math.ceil(((2 if mutual else 1) - COUNT_TOLERANCE) / target_fpir) - 1


def _interval(events: float, people: int) -> Interval:
    """Central 95 % of the threshold's true rate over samples: Beta(events, people + 1 - events) (Vovk 2012)."""
    shape = (events, people + 1 - events)
    return beta_quantile(0.025, *shape), beta_quantile(0.975, *shape)
