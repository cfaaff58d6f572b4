from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twindex.index.sampling import reservoir


def _numbered(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.float32)[:, None]


@given(st.lists(st.integers(0, 200), max_size=6), st.integers(1, 50))
def test_same_sample_however_the_vectors_are_batched(cuts: list[int], size: int) -> None:
    edges = [0, *sorted(cuts), 200]
    batches = [_numbered(start, stop) for start, stop in pairwise(edges)]
    sample = reservoir(batches, 1, size, seed=3)
    np.testing.assert_array_equal(sample, reservoir([_numbered(0, 200)], 1, size, seed=3))
    assert len(np.unique(sample)) == size


def test_if_there_are_fewer_vectors_than_places_all_are_kept() -> None:
    np.testing.assert_array_equal(reservoir([_numbered(0, 3), _numbered(3, 5)], 1, 10, seed=0), _numbered(0, 5))
    assert reservoir([], 4, 10, seed=0).shape == (0, 4)


def test_every_vector_has_the_same_probability() -> None:
    drawn = np.zeros(20)
    for seed in range(2000):
        drawn[reservoir([_numbered(0, 7), _numbered(7, 20)], 1, 5, seed)[:, 0].astype(int)] += 1
    # Binomial(2000, 1/4): a standard deviation is 19.4.
    assert abs(drawn - 500).max() < 5 * 19.4
