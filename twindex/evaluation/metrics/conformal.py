"""A threshold that strangers pass at most at a target rate: split-conformal, with its finite-sample bound.

Assumption: the strangers measured and those to come are *exchangeable* (drawn alike: same cameras, same population,
same gallery). Then the guarantee holds for any number of strangers, however their scores are distributed. It is a mean
over samples of strangers; `fpir_interval` says how far one sample may be off.
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
    """A threshold on probability and what is known about it.

    Attributes:
        threshold: From here on a candidate is a match.
        fpir_bound: A new stranger is called somebody with at most this probability.
        fpir_interval: 95 % interval of the FPIR that this very threshold has.
        strangers: How many people it was measured on.
        enough: Whether they are enough for the target; else `fpir_bound` is above it.
    """

    threshold: float
    fpir_bound: float
    fpir_interval: Interval
    strangers: int
    enough: bool


def operating_point(scores: Sequence[Float64], target_fpir: float, *, mutual: bool = False) -> OperatingPoint:
    """The lowest threshold that keeps the rate, from each stranger's best scores against the whole gallery.

    Split-conformal quantile (Vovk, Gammerman and Shafer 2005); several photos of a stranger share that stranger's
    weight (hierarchical conformal, Lee, Barber and Willett 2023), so that a person with many photos counts once.

    Args:
        scores: For each stranger (photos,) float64, the highest probability of any candidate for each photo.
        target_fpir: The rate wanted, between 0 and 1.
        mutual: The scores are of people who were compared with each other. Then one more has to be counted: a newcomer
            whose nearest is the best of them raises that score too, and comes level with it. So of n + 1 people, each
            compared with the threshold of the others, at most k + 1 pass where k would (for k = 1, two do).

    Raises:
        ValueError: There is no stranger, a stranger has no photo, or the rate is out of range.
    """
    if not scores or any(not len(one) for one in scores) or not 0 < target_fpir < 1:
        raise ValueError("Expected strangers with a photo each, and a rate between 0 and 1.")
    people = len(scores)
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in scores])
    order = np.argsort(-values, kind="stable")
    values, weights = values[order], weights[order]
    # Weight of what comes before each value; the stranger to come counts as one more, before everything. Equal values
    # are taken as one after the other: were those above counted alone, the bound would depend on what was drawn.
    before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
    allowed = target_fpir * (people + 1) + COUNT_TOLERANCE
    counted = 2 if mutual else 1
    passing = np.flatnonzero(before + counted <= allowed)
    enough = len(passing) > 0
    last = int(passing[-1]) if enough else 0
    events = min(float(before[last]) + counted, float(people))
    # Where a probability is 1 in all its digits the threshold is above it, and nobody matches.
    threshold = math.nextafter(float(values[last]), math.inf)
    return OperatingPoint(threshold, events / (people + 1), _interval(events, people), people, enough)


def strangers_needed(target_fpir: float, *, mutual: bool = False) -> int:
    """The fewest strangers from which a rate can be promised; see `operating_point`."""
    return math.ceil(((2 if mutual else 1) - COUNT_TOLERANCE) / target_fpir) - 1


def _interval(events: float, people: int) -> Interval:
    """Central 95 % of the threshold's true rate over samples: Beta(events, people + 1 - events) (Vovk 2012)."""
    shape = (events, people + 1 - events)
    return beta_quantile(0.025, *shape), beta_quantile(0.975, *shape)
