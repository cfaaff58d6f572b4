"""ROC, FNMR at FMR and accuracy over folds on cases counted by hand."""

import math

import numpy as np
import pytest

from twindex.evaluation.metrics.verification import PairScores, decidability, fnmr_at_fmr, fold_accuracies, roc


def scores(mated: list[float], non_mated: list[float], folds: list[int] | None = None) -> PairScores:
    count = len(mated) + len(non_mated)
    return PairScores(
        np.array(mated + non_mated),
        np.array([True] * len(mated) + [False] * len(non_mated)),
        np.array(folds or [0] * count),
    )


def test_fnmr_counts_mated_pairs_that_are_not_below_the_threshold() -> None:
    given = scores([0.2, 0.4, 0.6, 0.9], [0.5, 0.8, 1.0, 1.2])
    assert fnmr_at_fmr(given, 0.0) == 0.5  # accepted below 0.5: 0.2 and 0.4
    assert fnmr_at_fmr(given, 0.25) == 0.25  # below 0.8
    assert fnmr_at_fmr(given, 0.5) == 0.0  # below 1.0


def test_a_mated_pair_without_a_usable_face_is_a_miss() -> None:
    assert fnmr_at_fmr(scores([0.2, math.inf], [0.5, math.inf]), 1.0) == 0.5


def test_the_roc_has_both_rates_at_every_threshold() -> None:
    curve = roc(scores([0.2, 0.6], [0.4, 0.8]))
    assert curve.thresholds.tolist() == pytest.approx([0.2, 0.3, 0.5, 0.7, 0.8])
    assert curve.fmr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert curve.fnmr.tolist() == [1, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("mated", "non_mated", "expected"),
    [
        ([0.2, 0.4], [0.8, 1.2], 4.427189),  # means 0.3 and 1, variances 0.01 and 0.04: 0.7 / sqrt(0.025)
        ([0.2, 0.4, math.inf], [0.8, 1.2, math.inf], 4.427189),
        ([0.8, 1.2], [0.2, 0.4], -4.427189),
        ([0.2, 0.2], [0.8, 0.8], None),
        ([math.inf], [0.8, 1.2], None),
    ],
)
def test_decidability_is_the_difference_of_means_over_the_pooled_deviation(
    mated: list[float], non_mated: list[float], expected: float | None
) -> None:
    assert decidability(scores(mated, non_mated)) == (expected and pytest.approx(expected))


def test_each_fold_is_tested_at_the_others_best_threshold() -> None:
    # Fold 0 alone would choose a threshold between 0.5 and 0.6; fold 1 one between 0.2 and 0.3.
    given = PairScores(
        np.array([0.4, 0.5, 0.6, 0.7, 0.1, 0.2, 0.3, 0.4]),
        np.array([True, True, False, False] * 2),
        np.array([0, 0, 0, 0, 1, 1, 1, 1]),
    )
    assert fold_accuracies(given).tolist() == [0.5, 0.5]


def test_one_fold_is_tested_at_its_own_best_threshold() -> None:
    assert fold_accuracies(scores([0.1, 0.5], [0.4, 0.9])).tolist() == [0.75]


def test_pairs_without_a_usable_face_are_decided_as_different() -> None:
    assert fold_accuracies(scores([0.1, math.inf], [0.9, math.inf])).tolist() == [0.75]
    assert fold_accuracies(scores([math.inf], [math.inf])).tolist() == [0.5]


def test_pairs_of_one_kind_or_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="mated and non-mated"):
        scores([0.1], [])
    with pytest.raises(ValueError, match="as many distances"):
        PairScores(np.zeros(2), np.array([True, False]), np.zeros(3, np.int64))
