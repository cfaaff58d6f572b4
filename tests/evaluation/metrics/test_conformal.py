"""The conformal threshold by hand, and its guarantee by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.evaluation.metrics.conformal import operating_point, strangers_needed


def alone(*scores: float) -> list[np.ndarray]:
    """Strangers with one photo each."""
    return [np.array([score]) for score in scores]


def test_the_threshold_lies_just_above_the_quantile() -> None:
    # 19 strangers and one to come: 10 % of 20 are 2, so the second highest must not pass.
    scores = np.linspace(0.05, 0.95, 19)
    point = operating_point(alone(*scores), 0.1)
    assert point.threshold == math.nextafter(scores[-2], 1)
    assert point.fpir_bound == pytest.approx(0.1)
    assert point.strangers == 19
    assert point.enough


def test_too_few_strangers_are_not_enough() -> None:
    point = operating_point(alone(0.2, 0.7, 0.4), 0.01)
    assert point.threshold == math.nextafter(0.7, 1)
    assert point.fpir_bound == 0.25
    assert not point.enough


def test_mutual_scores_count_one_more() -> None:
    point = operating_point(alone(0.2, 0.7, 0.4), 0.01, mutual=True)
    assert (point.threshold, point.fpir_bound, point.enough) == (math.nextafter(0.7, 1), 0.5, False)
    # 19 and one to come: 2 of 20 are the fewest that can pass.
    scores = alone(*np.linspace(0.05, 0.95, 19))
    assert operating_point(scores, 0.1, mutual=True).threshold == math.nextafter(0.95, 1)
    assert operating_point(scores, 0.15, mutual=True).threshold == math.nextafter(scores[-2].item(), 1)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "least"), [(0.1, 0.08), (0.3, 0.22)])
def test_mutual_scores_keep_the_rate_for_newcomers(target: float, least: float) -> None:
    """Including the newcomer, the nearest two resemble each other, so 2 of 20 pass instead of 1 of 20."""
    random = np.random.default_rng(8)
    passed = 0
    for _ in range(2_000):
        people = random.normal(size=(20, 4))
        likeness = -np.linalg.norm(people[:, None] - people, axis=2)
        np.fill_diagonal(likeness, -np.inf)
        point = operating_point(alone(*likeness[1:, 1:].max(axis=1)), target, mutual=True)
        passed += likeness[0].max() >= point.threshold
    assert point.fpir_bound == pytest.approx(target)
    assert least < passed / 2_000 < target + 0.02  # its standard error is 0.01 at most


def test_ninety_nine_strangers_are_just_enough_for_one_percent() -> None:
    assert operating_point(alone(*np.linspace(0, 0.9, 99)), 0.01).enough
    assert not operating_point(alone(*np.linspace(0, 0.9, 98)), 0.01).enough


def test_equal_scores_are_all_below_the_threshold() -> None:
    point = operating_point(alone(0.5, 0.5, 0.5, 0.5), 0.4)
    assert point.threshold > 0.5
    assert point.fpir_bound == 0.4  # as for four scores that differ, the second highest of which may not pass


def test_a_person_with_many_photos_counts_once() -> None:
    # Weights above 0.6: one half of the third person, and the stranger to come: 1.5 of 4.
    many = [np.array([0.1]), np.array([0.6]), np.array([0.9, 0.2])]
    point = operating_point(many, 0.4)
    assert point.threshold == math.nextafter(0.6, 1)
    assert point.fpir_bound == pytest.approx(1.5 / 4)


def test_the_interval_is_that_of_a_beta_distribution() -> None:
    low, high = operating_point(alone(0.3), 0.5).fpir_interval
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))  # one stranger: Beta(1, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_no_more_of_the_measured_strangers_pass_than_allowed(scores: list[float], target: float) -> None:
    point = operating_point(alone(*scores), target)
    passing = sum(score >= point.threshold for score in scores)
    assert passing + 1 <= max(1, math.floor(target * (len(scores) + 1) + 1e-9))
    assert not point.enough or point.fpir_bound <= target + 1e-9


def test_new_strangers_pass_at_most_at_the_target_rate() -> None:
    random = np.random.default_rng(3)
    rates = []
    for _ in range(400):
        threshold = operating_point(alone(*random.beta(2, 5, 149)), 0.05).threshold
        rates.append(np.mean(random.beta(2, 5, 2_000) >= threshold))
    # The mean over samples is 7/150; its standard error here is 0.001.
    assert np.mean(rates) == pytest.approx(7 / 150, abs=0.004)


@pytest.mark.parametrize(("scores", "target"), [([], 0.1), ([np.empty(0)], 0.1), (alone(0.5), 0.0), (alone(0.5), 1.0)])
def test_empty_scores_and_impossible_rates_are_refused(scores: list[np.ndarray], target: float) -> None:
    with pytest.raises(ValueError, match="Expected strangers"):
        operating_point(scores, target)


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("target", [0.001, 0.003, 0.01, 0.07, 0.1, 0.3, 0.5])
def test_the_fewest_strangers_are_counted(target: float, mutual: bool) -> None:
    needed = strangers_needed(target, mutual=mutual)
    assert operating_point(alone(*np.linspace(0, 0.9, needed)), target, mutual=mutual).enough
    fewer = alone(*np.linspace(0, 0.9, needed - 1))
    assert not fewer or not operating_point(fewer, target, mutual=mutual).enough


def test_nobody_matches_if_probabilities_round_to_one() -> None:
    assert operating_point(alone(0.2, 1.0, 1.0), 0.25).threshold > 1
