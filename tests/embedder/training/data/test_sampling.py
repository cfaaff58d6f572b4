import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twindex.embedder.training.data import sampling

SUBJECTS = np.repeat(np.arange(20), 5)


@given(st.integers(0, 50), st.integers(0, 1000))
def test_an_epoch_of_shuffled_batches_shows_every_photo_once(first_epoch: int, seed: int) -> None:
    steps = range(first_epoch * 10, first_epoch * 10 + 10)
    seen = np.concatenate([sampling.shuffled_batch(100, 10, step, seed) for step in steps])
    assert sorted(seen) == list(range(100))


def test_batches_depend_on_seed_and_step_alone() -> None:
    np.testing.assert_array_equal(sampling.shuffled_batch(50, 16, 9, 4), sampling.shuffled_batch(50, 16, 9, 4))
    assert (sampling.shuffled_batch(50, 16, 9, 4) != sampling.shuffled_batch(50, 16, 9, 5)).any()


@given(st.integers(0, 200), st.integers(0, 100))
def test_balanced_batches_hold_people_with_distinct_photos(step: int, seed: int) -> None:
    batch = sampling.balanced_batch(SUBJECTS, 6, 4, step, seed).reshape(6, 4)
    assert all(len(set(SUBJECTS[row])) == 1 for row in batch)
    assert len({SUBJECTS[row[0]] for row in batch}) >= 4  # an epoch may end inside a batch
    assert all(len(set(row)) == 4 for row in batch)


def test_balanced_batches_repeat_photos_of_subjects_with_few() -> None:
    batch = sampling.balanced_batch(np.array([0, 1, 1, 1]), 2, 3, 0, 0).reshape(2, 3)
    assert sorted(map(set, batch.tolist()), key=len) == [{0}, {1, 2, 3}]
