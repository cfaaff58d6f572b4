"""Expected calibration error and Brier score on cases counted by hand."""

import numpy as np
import pytest

from twindex.evaluation.metrics.reliability import brier_score, reliability


def test_bins_hold_mean_predictions_and_outcomes() -> None:
    found = reliability(np.array([0.1, 0.3, 0.6, 0.8, 1.0]), np.array([False, True, True, True, True]), bins=2)
    assert found.predicted.tolist() == pytest.approx([0.2, 0.8])
    assert found.observed.tolist() == pytest.approx([0.5, 1.0])
    assert found.counts.tolist() == [2, 3]
    # 2/5 x 0.3 + 3/5 x 0.2
    assert found.expected_calibration_error == pytest.approx(0.24)


def test_calibrated_probabilities_have_no_error() -> None:
    probabilities = np.repeat([0.25, 0.75], 4)
    mated = np.array([True, False, False, False, True, True, True, False])
    assert reliability(probabilities, mated, bins=4).expected_calibration_error == 0


def test_the_brier_score_is_the_mean_squared_error() -> None:
    assert brier_score(np.array([0.5, 1.0, 0.0]), np.array([True, True, True])) == pytest.approx(1.25 / 3)


@pytest.mark.parametrize(
    ("probabilities", "mated", "message"),
    [([0.5], [True, False], "as many labels"), ([], [], "as many labels"), ([1.5], [True], "from 0 to 1")],
)
def test_invalid_probabilities_are_refused(probabilities: list[float], mated: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(np.array(probabilities), np.array(mated, bool))
