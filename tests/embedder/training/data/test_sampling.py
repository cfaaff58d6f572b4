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


POOLS = (np.arange(40), np.arange(40, 60))


def drawn(weights: tuple[float, float], steps: range, size: int = 10) -> np.ndarray:
    """How often each of the 60 photos comes in some batches."""
    batches = [sampling.weighted_batch(POOLS, weights, size, step, 3) for step in steps]
    return np.bincount(np.concatenate(batches), minlength=60)


def test_pools_of_weight_one_show_every_photo_once_an_epoch() -> None:
    np.testing.assert_array_equal(drawn((1, 1), range(6, 12)), np.ones(60))


def test_a_pool_s_weight_is_how_often_its_photos_come() -> None:
    # An epoch has 20 photos of the first pool and 60 of the second: two epochs, 16 batches.
    counts = drawn((0.5, 3), range(16))
    np.testing.assert_array_equal(counts, np.repeat([1, 6], [40, 20]))


@given(st.floats(0.1, 3), st.floats(0.1, 3))
def test_a_pool_s_photos_come_as_often_as_each_other(first: float, second: float) -> None:
    epoch = max(1, round(40 * first)) + max(1, round(20 * second))
    counts = drawn((first, second), range(3), epoch)
    assert np.ptp(counts[:40]) <= 1
    assert np.ptp(counts[40:]) <= 1
    assert counts[:40].sum() == 3 * max(1, round(40 * first))


def test_a_weighted_batch_depends_on_seed_and_step_alone() -> None:
    later = sampling.weighted_batch(POOLS, (1, 2), 7, 9, 4)
    np.testing.assert_array_equal(later, sampling.weighted_batch(POOLS, (1, 2), 7, 9, 4))
    assert (later != sampling.weighted_batch(POOLS, (1, 2), 7, 9, 5)).any()
    assert (later != sampling.weighted_batch(POOLS, (1, 2), 7, 10, 4)).any()
