"""Intervals on cases counted by hand."""

import math

import pytest

from twindex.evaluation.metrics.rates import binomial_interval, rate_interval


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    # 0 of 10: 1 - 0.025^(1/10); 1 of 2 by the closed form of Beta(1, 2) and Beta(2, 1).
    assert binomial_interval(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert binomial_interval(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    assert binomial_interval(1, 2) == (pytest.approx(1 - math.sqrt(0.975)), pytest.approx(math.sqrt(0.975)))
    assert rate_interval(0.5, 2) == binomial_interval(1, 2)


@pytest.mark.parametrize(("events", "attempts"), [(-1, 3), (4, 3), (0, 0)])
def test_impossible_counts_are_refused(events: int, attempts: int) -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        binomial_interval(events, attempts)
