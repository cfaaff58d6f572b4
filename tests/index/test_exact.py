import numpy as np
import pytest

from tests.index.oracle import ExactIndex

CORNERS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)


def test_distances_are_euclidean_and_ties_are_ordered_by_id() -> None:
    index = ExactIndex(2)
    index.add(np.array([40, 30, 20, 10], np.int64), CORNERS)
    hits = index.search(CORNERS[:1], 5)
    assert hits.references.tolist() == [[40, 10, 30, 20, -1]]
    np.testing.assert_array_equal(hits.distances, np.array([[0, 2**0.5, 2**0.5, 2, np.inf]], np.float32))


def test_among_equal_distances_at_the_end_of_a_row_the_lower_id_is_kept() -> None:
    index = ExactIndex(2)
    index.add(np.array([40, 10, 30], np.int64), CORNERS[[1, 1, 1]])
    assert index.search(CORNERS[:1], 2).references.tolist() == [[10, 30]]


def test_remove_ignores_absent_ids_and_frees_removed_ones() -> None:
    index = ExactIndex(2)
    index.add(np.array([1, 2], np.int64), CORNERS[:2])
    assert index.remove(np.array([2, 3, 2], np.int64)) == 1
    assert index.contains(np.array([1, 2, 3], np.int64)).tolist() == [True, False, False]
    index.add(np.array([2], np.int64), CORNERS[2:3])
    assert index.search(CORNERS[2:3], 1).references.tolist() == [[2]]


def test_an_empty_index_returns_padding() -> None:
    hits = ExactIndex(2).search(CORNERS, 2)
    assert hits.references.tolist() == [[-1, -1]] * 4


def test_a_dimension_is_required() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ExactIndex(0)
