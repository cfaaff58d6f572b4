import numpy as np
import pytest

from twindex.embedder.training import head as calibration


def test_pair_distances_of_a_hand_counted_case() -> None:
    templates = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    mated, non_mated = calibration.pair_distances(templates, np.array([7, 7, 8]))
    np.testing.assert_allclose(mated, [2**0.5], rtol=1e-6)
    np.testing.assert_allclose(non_mated, [2**0.5, 2.0], rtol=1e-6)


def test_a_large_set_is_taken_by_rows_and_its_non_mated_pairs_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    templates = random.normal(size=(90, 8)).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    subjects = random.integers(0, 12, 90)
    whole = calibration.pair_distances(templates, subjects)
    pairs = [(one, other) for one in range(90) for other in range(one)]
    for found, mated in zip(whole, (True, False), strict=True):
        kind = [pair for pair in pairs if (subjects[pair[0]] == subjects[pair[1]]) == mated]
        expected = sorted(np.linalg.norm(templates[one] - templates[other]) for one, other in kind)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    monkeypatch.setattr(calibration, "_ROWS", 7)
    for by_rows, at_once in zip(calibration.pair_distances(templates, subjects), whole, strict=True):
        np.testing.assert_allclose(by_rows, at_once, atol=1e-6)
    monkeypatch.setattr(calibration, "_MOST_NON_MATED", 1_000)
    mated, sampled = calibration.pair_distances(templates, subjects)
    np.testing.assert_allclose(mated, whole[0], atol=1e-6)
    assert 800 < len(sampled) < 1_000  # a quarter of 3,657 or so: 1,000 of all 4,005 pairs
    assert np.abs(whole[1][np.searchsorted(whole[1], sampled - 1e-6)] - sampled).max() < 2e-6


def test_head_recovers_the_logistic_curve_that_made_the_labels() -> None:
    random = np.random.default_rng(1)
    distance = random.uniform(0, 2, 200_000)
    same = random.random(len(distance)) < 1 / (1 + np.exp(7.6 * distance - 8.6))
    weight, bias = calibration.fit_head(distance[same].astype(np.float32), distance[~same].astype(np.float32))
    # Both kinds weigh alike, so the bias moves by the log of the ratio of their numbers.
    assert weight == pytest.approx(-7.6, abs=0.15)
    assert bias == pytest.approx(8.6 + np.log((~same).sum() / same.sum()), abs=0.15)


def test_head_survives_separable_pairs() -> None:
    weight, bias = calibration.fit_head(np.array([0.1, 0.2], np.float32), np.array([1.1, 1.2], np.float32))
    assert weight < -10
    assert 0.2 < -bias / weight < 1.1


def test_head_refuses_mated_pairs_that_are_farther() -> None:
    with pytest.raises(ValueError, match="not closer"):
        calibration.fit_head(np.array([1.1, 1.2], np.float32), np.array([0.1, 0.3], np.float32))
    with pytest.raises(ValueError, match="mated and non-mated"):
        calibration.fit_head(np.array([], np.float32), np.array([0.1], np.float32))


def test_thresholds_grow_stricter_with_the_gallery_and_stop_where_pairs_run_out() -> None:
    non_mated = np.linspace(0, 2, 50_001).astype(np.float32)
    found = dict(calibration.thresholds_by_size(non_mated))
    assert found[1] == pytest.approx(0.02, abs=1e-3)
    assert found[10] == pytest.approx(0.00201, abs=1e-4)
    assert list(found) == [1, 10]  # ten of 50,001 pairs would be needed for 100


@pytest.mark.parametrize(
    ("rate", "accepted"),
    [
        (0.0, []),
        (0.1, []),
        (0.2, [0.3]),
        (0.39, [0.3]),
        (0.4, [0.3]),
        (0.6, [0.3, 0.5, 0.5]),
        (0.99, [0.3, 0.5, 0.5, 0.7]),
    ],
)
def test_no_more_than_the_rate_is_accepted(rate: float, accepted: list[float]) -> None:
    non_mated = np.array([0.9, 0.5, 0.3, 0.7, 0.5], np.float32)
    limit = calibration.accept_distance(non_mated, rate)
    assert sorted(non_mated[non_mated <= limit].tolist()) == pytest.approx(accepted)


def test_balanced_accuracy_of_a_hand_counted_case() -> None:
    mated = np.array([0.1, 0.2, 0.3, 0.9], np.float32)
    non_mated = np.array([0.8, 1.0], np.float32)
    assert calibration.balanced_accuracy(mated, non_mated) == pytest.approx((3 / 4 + 1) / 2)


def test_the_head_may_be_fitted_on_other_pairs_than_the_thresholds() -> None:
    random = np.random.default_rng(2)
    subjects = np.repeat(np.arange(40), 5)
    templates = random.normal(size=(40, 8))[subjects] + 0.3 * random.normal(size=(200, 8))
    templates = (templates / np.linalg.norm(templates, axis=1, keepdims=True)).astype(np.float32)
    pairs = random.normal(0.6, 0.2, 500).astype(np.float32), random.normal(1.1, 0.2, 400).astype(np.float32)
    found = calibration.calibrate(templates, subjects, pairs)
    assert (found.head.weight, found.head.bias) == calibration.fit_head(*pairs)
    assert found.accuracy["head_pairs"] == 900
    own = calibration.calibrate(templates, subjects)
    assert own.head != found.head
    assert own.accuracy["head_pairs"] == 200 * 199 / 2
    # The same distance is the threshold under either head.
    limit = calibration.accept_distance(calibration.pair_distances(templates, subjects)[1], 0.001)
    assert found.verify_threshold == pytest.approx(float(found.head.probability(limit)))
