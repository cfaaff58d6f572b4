"""Distances, head, fusion, ranking and decision, against values worked out by hand."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.scoring import Head, decide, distances, fuse, posterior, rank, share_below, threshold_at
from twindex.types import Candidate

HEAD = Head(-10.0, 10.0)

NAMES = st.sampled_from(["ada", "ben", "Zoë"])


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_distances_are_euclidean_and_not_squared() -> None:
    found = distances(floats(0, 0), np.array([[3, 4], [0, 0], [-5, 12]], np.float32))
    assert found.tolist() == [5, 0, 13]
    assert found.dtype == np.float32


def test_distances_of_close_templates_keep_their_digits() -> None:
    probe = floats(0.6, 0.8)
    near = np.array([[0.6 + 1e-6, 0.8]], np.float32)
    exact = float(near[0, 0]) - float(probe[0])
    assert distances(probe, near)[0] == pytest.approx(exact, rel=1e-6)


def test_distances_to_nothing_are_none() -> None:
    assert distances(floats(1, 0), np.empty((0, 2), np.float32)).shape == (0,)


def test_distances_leave_their_arguments_alone() -> None:
    probe, templates = floats(1, 0), np.eye(2, dtype=np.float32)
    distances(probe, templates)
    assert probe.tolist() == [1, 0]
    assert templates.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 2)])
def test_templates_of_different_lengths_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected shapes"):
        distances(floats(1, 0), np.zeros(shape, np.float32))


def test_the_head_is_one_half_where_its_log_odds_are_zero() -> None:
    assert HEAD.probability(1.0) == 0.5
    assert HEAD.probability(floats(1, 1)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("distance", [0.0, 0.3, 1.0, 1.9, 20.0, 70.0])
def test_the_head_is_exact_at_both_ends(distance: float) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = 1 / (1 + (Decimal(10) * Decimal(distance) - 10).exp())
    assert float(HEAD.probability(distance)) == pytest.approx(float(exact), rel=1e-12)


def test_the_head_does_not_overflow() -> None:
    assert Head(-1e4, 0).probability(floats(2)).tolist() == [0]
    assert Head(-1e4, 1e6).probability(floats(2)).tolist() == [1]


@given(st.lists(st.floats(0, 2, width=32), min_size=2, unique=True))
def test_farther_is_never_more_probable(values: list[float]) -> None:
    probabilities = HEAD.probability(floats(*sorted(values)))
    assert (np.diff(probabilities) <= 0).all()


@pytest.mark.parametrize(
    ("probability", "distance"), [(0.5, 1.0), (1 / (1 + math.exp(-2)), 0.8), (1.0, 0.0), (1e-300, 2.0)]
)
def test_the_head_reaches_as_far_as_its_probability(probability: float, distance: float) -> None:
    assert HEAD.reach(probability) == pytest.approx(distance)


@pytest.mark.parametrize(("weight", "bias"), [(0, 1), (3, 1), (math.nan, 1), (-1, math.inf)])
def test_an_impossible_head_is_refused(weight: float, bias: float) -> None:
    with pytest.raises(ValueError, match="weight below 0"):
        Head(weight, bias)


def on_circle(*degrees: float) -> np.ndarray:
    """Unit-length templates in the plane at these angles."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def chord(degrees: float) -> float:
    """Distance of two points of the unit circle."""
    return 2 * math.sin(math.radians(degrees) / 2)


def test_a_subject_is_at_the_distance_of_its_centroid() -> None:
    # The centroid of references at 40 and 80 degrees lies at 60.
    fused = fuse(on_circle(0)[0], on_circle(40, 50, 80), ["ada", "ben", "ada"])
    assert fused.subjects == ("ada", "ben")
    assert fused.distances.tolist() == pytest.approx([chord(60), chord(50)], abs=1e-6)
    assert fused.nearest.tolist() == [0, 1]


def test_the_probes_own_photo_counts_alone() -> None:
    fused = fuse(on_circle(40)[0], on_circle(40, 120), ["ada", "ada"])
    assert fused.distances.tolist() == [0]


def test_references_without_a_mean_are_represented_by_the_nearest() -> None:
    fused = fuse(on_circle(10)[0], np.array([[1, 0], [-1, 0]], np.float32), ["ada", "ada"])
    assert fused.distances.tolist() == pytest.approx([chord(10)], abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 360), NAMES), max_size=12))
def test_fusing_agrees_with_means_worked_out_one_by_one(placed: list[tuple[float, str]]) -> None:
    templates = on_circle(*(degrees for degrees, _ in placed))
    probe = np.array([0.6, -0.8], np.float32)
    fused = fuse(probe, templates, [name for _, name in placed])
    assert sorted(fused.subjects) == sorted({name for _, name in placed})
    for name, distance, place in zip(fused.subjects, fused.distances.tolist(), fused.nearest.tolist(), strict=True):
        own = templates[[owner == name for _, owner in placed]].astype(np.float64)
        alone = np.linalg.norm(own - probe, axis=1)
        length = np.linalg.norm(own.mean(axis=0))
        expected = np.linalg.norm(own.mean(axis=0) / length - probe) if length > 1e-3 else alone.min()
        if alone.min() >= 2e-3 and (length > 1e-3 or length < 1e-9):
            assert distance == pytest.approx(expected, abs=1e-5)
        assert placed[place][1] == name
        assert np.linalg.norm(templates[place] - probe) == pytest.approx(alone.min(), abs=1e-6)


def test_a_template_without_owner_is_refused() -> None:
    with pytest.raises(ValueError, match="one owner per template"):
        fuse(on_circle(0)[0], on_circle(1, 2), ["ada"])


def test_the_candidate_list_is_ordered_by_distance_then_name() -> None:
    found = rank(on_circle(0)[0], on_circle(50, 100, -50, 25), ids(4, 3, 2, 1), ["zoe", "ben", "ada", "cleo"], HEAD, 3)
    assert [(one.rank, one.subject, one.reference) for one in found] == [(1, "cleo", 1), (2, "ada", 2), (3, "zoe", 4)]
    assert [one.distance for one in found] == pytest.approx([chord(25), chord(50), chord(50)], abs=1e-6)
    assert [one.probability for one in found] == [float(HEAD.probability(one.distance)) for one in found]


def test_of_equally_near_references_the_oldest_is_named() -> None:
    found = rank(on_circle(0)[0], on_circle(30, 30, 30), ids(30, 10, 20), ["ada", "ada", "ada"], HEAD, 5)
    assert [(one.subject, one.reference) for one in found] == [("ada", 10)]


def test_one_odd_reference_does_not_beat_two_good_ones() -> None:
    found = rank(on_circle(0)[0], on_circle(20, 140, 30, 40), ids(1, 2, 3, 4), ["ada", "ada", "ben", "ben"], HEAD, 2)
    assert [(one.subject, one.reference) for one in found] == [("ben", 3), ("ada", 1)]


def test_nothing_found_is_an_empty_candidate_list() -> None:
    assert rank(on_circle(0)[0], np.empty((0, 2), np.float32), ids(), [], HEAD, 3) == []


def test_a_request_for_an_empty_candidate_list_is_refused() -> None:
    with pytest.raises(ValueError, match="top=0"):
        rank(on_circle(0)[0], on_circle(1), ids(1), ["ada"], HEAD, 0)


def test_a_template_without_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="one reference per template"):
        rank(on_circle(0)[0], on_circle(1, 2), ids(1), ["ada", "ben"], HEAD, 1)


@pytest.mark.parametrize(("probability", "decision"), [(0.8, "match"), (0.9, "match"), (0.79, "unknown")])
def test_a_match_is_at_least_as_probable_as_the_threshold(probability: float, decision: str) -> None:
    first, second = Candidate(1, "ada", 0.5, probability, 1), Candidate(2, "ben", 0.6, 0.99, 2)
    assert decide([first, second], 0.8) == decision


def test_an_empty_candidate_list_means_unknown() -> None:
    assert decide([], 0.0) == "unknown"


IMPOSTORS = np.array([0.9, 0.5, 0.7, 1.1, 1.3, 0.8, 1.0, 1.2, 0.6, 1.4])


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0.5), (0.09, 0.5), (0.1, 0.6), (0.35, 0.8), (0.9, 1.4)])
def test_a_threshold_accepts_at_most_the_rate(rate: float, expected: float) -> None:
    threshold = threshold_at(rate, IMPOSTORS)
    assert threshold == expected
    assert share_below(IMPOSTORS, threshold) <= rate


def test_all_attempts_pass_if_all_may() -> None:
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


@given(st.lists(st.floats(0, 2), max_size=30), st.integers(0, 10**7), st.floats(0.01, 0.99))
def test_confidences_and_unknown_never_add_up_to_more_than_one(far: list[float], subjects: int, prior: float) -> None:
    confidences, unknown = posterior(np.array(sorted(far), np.float32), Head(-14.0, 14.0), subjects, prior)
    assert len(confidences) == len(far)
    assert 0 <= unknown <= 1
    assert confidences.sum() + unknown <= 1 + 1e-9
    if subjects <= len(far):
        assert confidences.sum() + unknown == pytest.approx(1)
    assert (np.diff(confidences) <= 1e-12).all()


def test_a_confidence_is_the_share_of_the_evidence() -> None:
    head = Head(-10.0, 8.0)
    near, far = np.float32(0.5), np.float32(0.9)
    odds = [np.exp(head.log_odds(distance)) for distance in (near, far)]
    confidences, unknown = posterior(np.array([near, far]), head, 2, 0.4)
    total = 0.6 + 0.2 * sum(odds)
    np.testing.assert_allclose(confidences, [0.2 * odd / total for odd in odds])
    assert unknown == pytest.approx(0.6 / total)


def test_the_same_distance_counts_for_less_in_a_larger_gallery() -> None:
    sure = [posterior(np.array([0.6], np.float32), Head(-10.0, 10.0), size, 0.5)[0][0] for size in (1, 10, 1_000)]
    assert sure[0] > 0.98
    assert sure[0] > sure[1] > sure[2]


def test_without_anybody_near_it_is_unknown() -> None:
    confidences, unknown = posterior(np.empty(0, np.float32), Head(-10.0, 10.0), 0, 0.5)
    assert (len(confidences), unknown) == (0, 1.0)
