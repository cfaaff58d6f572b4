import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.embedder.training.data.pairs import draw_pairs, draw_triplets
from twindex.errors import UsageError


@given(st.lists(st.integers(1, 4), min_size=2, max_size=6), st.integers(0, 99))
def test_triplets_have_two_photos_of_one_person_and_one_of_another(photos: list[int], seed: int) -> None:
    subjects = np.repeat(np.arange(len(photos)), photos)
    if max(photos) < 2:
        with pytest.raises(UsageError, match="two photos of one of them"):
            draw_triplets(subjects, 5, seed)
        return
    anchors, positives, negatives = draw_triplets(subjects, 20, seed)
    assert (anchors != positives).all()
    np.testing.assert_array_equal(subjects[anchors], subjects[positives])
    assert (subjects[anchors] != subjects[negatives]).all()


def test_every_other_pair_shows_the_same_person() -> None:
    subjects = np.repeat(np.arange(5), 3)
    first, second, same = draw_pairs(subjects, 9, seed=3)
    assert same.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert same.dtype == np.float32
    np.testing.assert_array_equal(subjects[first] == subjects[second], same == 1)
    assert (first != second).all()
    for again, before in zip(draw_pairs(subjects, 9, seed=3), (first, second, same), strict=True):
        np.testing.assert_array_equal(again, before)


def test_one_person_makes_no_pairs() -> None:
    with pytest.raises(UsageError, match="at least two people"):
        draw_pairs(np.zeros(4, np.int64), 2)
