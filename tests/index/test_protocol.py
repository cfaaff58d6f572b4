import numpy as np
import pytest

from twindex.index.protocol import Hits


def test_ranked_orders_by_distance_then_id_and_pads() -> None:
    distances = np.array([[0.5, 0.25, 0.5], [1.0, 3e38, 0.75]], np.float32)
    references = np.array([[9, 4, 2], [5, -1, 6]], np.int64)
    hits = Hits.ranked(distances, references, k=4)
    assert hits.references.tolist() == [[4, 2, 9, -1], [6, 5, -1, -1]]
    assert hits.distances.tolist() == [[0.25, 0.5, 0.5, np.inf], [0.75, 1.0, np.inf, np.inf]]
    assert (hits.distances.dtype, hits.references.dtype) == (np.float32, np.int64)


def test_ranked_takes_rows_without_any_entry() -> None:
    hits = Hits.ranked(np.empty((2, 0), np.float32), np.empty((2, 0), np.int64), k=3)
    assert hits.references.tolist() == [[-1, -1, -1]] * 2
    assert hits.distances.tolist() == [[np.inf] * 3] * 2


def test_hits_cannot_be_written_while_the_callers_arrays_can() -> None:
    distances = np.zeros((1, 1), np.float32)
    hits = Hits(distances, np.zeros((1, 1), np.int64))
    with pytest.raises(ValueError, match="read-only"):
        hits.distances[0, 0] = 1
    distances[0, 0] = 2


def test_hits_need_one_shape() -> None:
    with pytest.raises(ValueError, match=r"one shape \(q, k\), got \(1, 2\) and \(2, 1\)"):
        Hits(np.zeros((1, 2), np.float32), np.zeros((2, 1), np.int64))
