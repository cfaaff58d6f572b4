"""Box arithmetic against values worked out by hand and against a plain oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.embedder.faces.boxes import Denominator, clipped, corrected, sides, squared, suppress
from twindex.types import Float32


def boxes(*rows: tuple[float, float, float, float]) -> Float32:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_sides_count_the_last_pixel() -> None:
    assert sides(boxes((10, 20, 19, 20))).tolist() == [[10, 1]]


@pytest.mark.parametrize(
    ("threshold", "over", "kept"),
    [
        (0.32, "union", [1]),  # intersection 50, union 150: overlap 1/3
        (0.34, "union", [1, 0]),
        (0.49, "smaller", [1]),  # intersection 50, smaller area 100: overlap 1/2
        (0.51, "smaller", [1, 0]),
    ],
)
def test_suppress_at_the_threshold(threshold: float, over: Denominator, kept: list[int]) -> None:
    pair = boxes((0, 0, 9, 9), (5, 0, 14, 9))
    assert suppress(pair, np.array([0.7, 0.9], np.float32), threshold, over).tolist() == kept


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = boxes((0, 0, 9, 9), (4, 0, 13, 9), (8, 0, 17, 9))
    assert suppress(chain, np.array([0.9, 0.8, 0.7], np.float32), 0.3).tolist() == [0, 2]


def test_suppress_nothing() -> None:
    assert suppress(boxes(), np.empty(0, np.float32), 0.5).tolist() == []


box = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    *(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)),
)


@given(st.lists(box, max_size=12), st.sampled_from([0.3, 0.5, 0.7]))
def test_suppress_is_the_plain_algorithm(rows: list[tuple[int, int, int, int]], threshold: float) -> None:
    scores = np.linspace(0.9, 0.1, len(rows)).astype(np.float32)
    pixels = [{(x, y) for x in range(a, c + 1) for y in range(b, d + 1)} for a, b, c, d in rows]
    kept: list[int] = []
    for index, here in enumerate(pixels):
        if all(len(here & pixels[other]) <= threshold * len(here | pixels[other]) for other in kept):
            kept.append(index)
    assert suppress(boxes(*rows), scores, threshold).tolist() == kept


def test_corrected_moves_edges_in_units_of_the_box() -> None:
    moved = corrected(boxes((10, 20, 19, 39)), np.array([[0.1, -0.1, 0.5, 0.25]], np.float32))
    np.testing.assert_allclose(moved, [[11, 18, 24, 44]], rtol=1e-6)


def test_squared_keeps_the_centre_and_the_longer_side() -> None:
    assert squared(boxes((10, 20, 19, 49), (0, 0, 30, 10))).tolist() == [[0, 20, 29, 49], [0, -10, 30, 20]]


@given(st.lists(st.tuples(*[st.floats(-50, 50, width=32)] * 4), max_size=5))
def test_squared_gives_whole_squares(rows: list[tuple[float, float, float, float]]) -> None:
    squares = squared(boxes(*rows))
    extent = sides(squares)
    np.testing.assert_array_equal(squares, np.round(squares))
    np.testing.assert_array_equal(extent[:, 0], extent[:, 1])
    assert (extent >= 1).all()


def test_clipped() -> None:
    assert clipped(boxes((-5, 3, 200, 70)), 100, 50).tolist() == [[0, 3, 99, 49]]
