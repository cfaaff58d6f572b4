import keras
import numpy as np
import pytest

from tests.embedder.training.test_loop import small_branch
from twindex.api import twins
from twindex.embedder.training.twin.network import build_twin
from twindex.embedder.training.twin.pairs import ContrastiveLoss, TripletLoss, distance_twin, triplet_twin
from twindex.errors import UsageError


@pytest.fixture
def twin() -> keras.Model:
    """Over a small branch."""
    keras.utils.set_random_seed(5)
    small = small_branch((75, 75, 3), 8)
    return build_twin(keras.Model(small.input, small.output, name="branch"))


@pytest.fixture
def photos() -> np.ndarray:
    """Four people with three photos each, who differ by colour."""
    random = np.random.default_rng(1)
    looks = random.uniform(0, 255, (4, 1, 5, 1, 5, 1, 3))
    noisy = np.broadcast_to(looks, (4, 3, 5, 15, 5, 15, 3)) + random.normal(0, 3, (4, 3, 5, 15, 5, 15, 3))
    return noisy.reshape(12, 75, 75, 3).clip(0, 255).astype(np.float32)


PEOPLE = np.repeat(np.arange(4), 3)


def test_contrastive_loss_of_hand_counted_pairs() -> None:
    distances = np.array([[0.5], [0.5], [1.5], [2.0]], np.float32)
    loss = ContrastiveLoss(margin=1.0)
    # The same person 0.5 apart, two people 0.5 apart, two people beyond the margin, and the same person 2 apart.
    assert float(loss(np.array([1.0, 0, 0, 1]), distances)) == pytest.approx((0.125 + 0.125 + 0 + 2) / 4)
    assert float(ContrastiveLoss(margin=2.0)(np.zeros((1, 1)), distances[2:3])) == pytest.approx(0.125)


def test_triplet_loss_of_hand_counted_triplets() -> None:
    distances = np.array([[0.5, 1.0], [1.0, 0.5], [1.0, 1.0]], np.float32)
    loss = TripletLoss(margin=0.2)
    assert float(loss(np.zeros(3), distances)) == pytest.approx((0 + 0.95 + 0.2) / 3)


@pytest.mark.parametrize("loss", [ContrastiveLoss(0.7), TripletLoss(0.3)])
def test_losses_are_saved_with_their_margin(loss: keras.losses.Loss) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (type(again), again.margin) == (type(loss), loss.margin)


def test_the_other_models_share_the_twin_s_weights(twin: keras.Model, photos: np.ndarray) -> None:
    templates = twin.get_layer("branch").predict_on_batch(photos)
    expected = np.linalg.norm(templates[:4] - templates[4:8], axis=1)
    np.testing.assert_allclose(
        distance_twin(twin).predict_on_batch([photos[:4], photos[4:8]])[:, 0], expected, atol=1e-4
    )
    others = np.linalg.norm(templates[:4] - templates[8:], axis=1)
    found = triplet_twin(twin).predict_on_batch([photos[:4], photos[4:8], photos[8:]])
    np.testing.assert_allclose(found, np.stack([expected, others], axis=1), atol=1e-4)


def test_training_on_triplets_trains_the_twin(twin: keras.Model, photos: np.ndarray) -> None:
    chosen = [photos[numbers] for numbers in twins.triplets(PEOPLE, 24)]
    model = twins.triplet_twin(twin)
    model.compile(keras.optimizers.Adam(1e-2), twins.triplet_loss(margin=4.0))  # always above 0
    before = twin.get_layer("branch").get_layer("projection").get_weights()[0]
    losses = [float(model.train_on_batch(chosen, np.zeros(24))) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert np.abs(twin.get_layer("branch").get_layer("projection").get_weights()[0] - before).max() > 1e-3


def test_the_head_is_fitted_to_the_distances(twin: keras.Model, photos: np.ndarray) -> None:
    twins.settle(twin, photos[np.random.default_rng(3).permutation(12)])
    first, second, same = twins.pairs(PEOPLE, 60)
    twins.fit_head(twin, [photos[first], photos[second]], same)
    found = twin.predict_on_batch([photos[first], photos[second]])[:, 0]
    assert found[same == 1].min() > 0.5 > found[same == 0].max()
    with pytest.raises(UsageError, match="not learned enough"):
        twins.fit_head(twin, [photos[first], photos[second]], 1 - same)
