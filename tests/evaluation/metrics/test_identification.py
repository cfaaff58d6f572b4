"""Ranks, FNIR and FPIR on cases counted by hand."""

import math

import numpy as np
import pytest

from twindex.evaluation.metrics.identification import STRANGER, Searches, nested_sizes, searches

USABLE = np.ones(6, bool)


def found(usable: np.ndarray = USABLE) -> Searches:
    distances = np.array(
        [
            [0.2, 0.9, 0.8],  # subject 0: rank 1
            [0.7, 0.5, 0.9],  # subject 1: rank 1
            [0.4, 0.5, 0.6],  # subject 2: rank 3
            [0.9, 0.6, 1.0],  # a stranger, 0.6
            [0.3, 0.8, 0.7],  # a stranger, 0.3
            [1.0, 1.1, 1.2],  # a stranger, 1.0
        ]
    )
    return searches(distances, np.array([0, 1, 2, STRANGER, STRANGER, STRANGER]), usable)


def test_ranks_and_first_candidates_are_counted() -> None:
    outcome = found()
    assert outcome.ranks.tolist() == [1, 1, 3]
    assert outcome.own.tolist() == [0.2, 0.5, 0.6]
    assert outcome.strangers.tolist() == [0.6, 0.3, 1.0]
    assert [outcome.rank_rate(rank) for rank in (1, 2, 3)] == pytest.approx([2 / 3, 2 / 3, 1])


def test_error_rates_at_a_threshold() -> None:
    outcome = found()
    assert outcome.fpir(0.5) == pytest.approx(1 / 3)
    # Below 0.5 only the first is found; the third never, because another came first.
    assert [outcome.fnir(threshold) for threshold in (0.5, 0.55, 2.0)] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert outcome.fnir_at_fpir(0.34) == pytest.approx(1 / 3)
    assert outcome.fnir_at_fpir(0.1) == pytest.approx(2 / 3)


def test_the_trade_off_has_a_point_for_every_stranger() -> None:
    fpirs, fnirs = found().trade_off()
    assert fpirs.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert fnirs.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3])  # below 0.3, 0.6, 1.0 and infinity


def test_photos_without_a_usable_face_are_misses_and_never_false_alarms() -> None:
    outcome = found(np.array([False, True, True, True, False, True]))
    assert outcome.ranks.tolist() == [math.inf, 1, 3]
    assert outcome.strangers.tolist() == [0.6, math.inf, 1.0]
    assert outcome.rank_rate(100) == pytest.approx(2 / 3)


def test_a_subject_that_could_not_be_enrolled_is_never_found() -> None:
    outcome = searches(np.array([[0.5, math.inf]]), np.array([1]), np.array([True]))
    assert outcome.ranks.tolist() == [math.inf]


def test_a_tie_is_not_a_success() -> None:
    outcome = searches(np.array([[0.5, 0.5]]), np.array([1]), np.array([True]))
    assert outcome.ranks.tolist() == [2]


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="as many rows"):
        searches(np.zeros((2, 2)), np.array([0]), np.array([True, True]))


def test_sizes_end_with_the_whole_gallery() -> None:
    assert nested_sizes(120) == [10, 30, 100, 120]
    assert nested_sizes(10) == [10]
    assert nested_sizes(2) == [2]
