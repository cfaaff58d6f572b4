"""Thresholds, rates and intervals on cases counted by hand."""

import math

import numpy as np
import pytest

from twindex.evaluation.rates import binomial_interval, rate_interval, share_below, threshold_at

IMPOSTORS = np.array([0.9, 0.5, 0.7, 1.1, 1.3, 0.8, 1.0, 1.2, 0.6, 1.4])


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0.5), (0.09, 0.5), (0.1, 0.6), (0.35, 0.8), (0.9, 1.4)])
def test_the_threshold_lets_at_most_the_rate_pass(rate: float, expected: float) -> None:
    threshold = threshold_at(rate, IMPOSTORS)
    assert threshold == expected
    assert share_below(IMPOSTORS, threshold) <= rate


def test_all_pass_where_all_may() -> None:
    assert threshold_at(1.0, IMPOSTORS) == math.inf


def test_a_rate_that_is_a_whole_number_of_attempts_is_not_rounded_down() -> None:
    assert threshold_at(0.001, np.arange(3_000, dtype=np.float64)) == 3


def test_equal_distances_pass_together_or_not_at_all() -> None:
    assert threshold_at(0.5, np.array([0.4, 0.6, 0.6, 0.6])) == 0.6


def test_photos_without_a_face_are_never_accepted() -> None:
    assert threshold_at(0.5, np.array([0.5, math.inf, math.inf, math.inf])) == math.inf
    assert share_below(np.array([0.5, math.inf]), math.inf) == 0.5


@pytest.mark.parametrize(("attempts", "rate"), [(np.empty(0), 0.1), (IMPOSTORS, -0.1), (IMPOSTORS, 1.1)])
def test_rates_of_nothing_or_out_of_range_are_refused(attempts: np.ndarray, rate: float) -> None:
    with pytest.raises(ValueError, match="rate from 0 to 1"):
        threshold_at(rate, attempts)


def test_intervals_are_clopper_and_pearson_s() -> None:
    # 0 of 10: 1 - 0.025^(1/10); 1 of 2 by the closed form of Beta(1, 2) and Beta(2, 1).
    assert binomial_interval(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert binomial_interval(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    assert binomial_interval(1, 2) == (pytest.approx(1 - math.sqrt(0.975)), pytest.approx(math.sqrt(0.975)))
    assert rate_interval(0.5, 2) == binomial_interval(1, 2)


@pytest.mark.parametrize(("events", "attempts"), [(-1, 3), (4, 3), (0, 0)])
def test_impossible_counts_are_refused(events: int, attempts: int) -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        binomial_interval(events, attempts)
