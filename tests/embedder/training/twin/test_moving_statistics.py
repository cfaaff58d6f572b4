import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.embedder.training.test_loop import small_branch
from twindex.embedder.training.twin import moving_statistics
from twindex.embedder.training.twin.moving_statistics import WarmedBatchNormalization, settle, with_warmed_norms


def batch(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (count, 5, 5, 4)).astype(np.float32)


def numpy(value: object) -> np.ndarray:
    return ops.convert_to_numpy(value)


def test_it_normalises_as_keras_layer_does() -> None:
    warmed, plain = WarmedBatchNormalization(scale=False), layers.BatchNormalization(scale=False)
    for norm in (warmed, plain):
        norm.build((None, 5, 5, 4))
    for training in (True, False):
        if not training:
            plain.moving_mean.assign(warmed.moving_mean)
            plain.moving_variance.assign(warmed.moving_variance)
        found, expected = warmed(batch(1), training=training), plain(batch(1), training=training)
        np.testing.assert_allclose(numpy(found), numpy(expected), atol=1e-5)


def test_the_momentum_rises_to_its_own() -> None:
    norm = WarmedBatchNormalization(momentum=0.6)
    norm.build((None, 5, 5, 4))
    mean, variance = np.zeros(4), np.ones(4)
    for step in range(12):
        momentum = min(0.6, (1 + step) / (10 + step))
        pixels = batch(step)
        norm(pixels, training=True)
        mean = momentum * mean + (1 - momentum) * pixels.mean(axis=(0, 1, 2))
        variance = momentum * variance + (1 - momentum) * pixels.var(axis=(0, 1, 2))
        np.testing.assert_allclose(numpy(norm.moving_mean), mean, rtol=1e-4)
        np.testing.assert_allclose(numpy(norm.moving_variance), variance, rtol=1e-4)
    assert min(0.6, 12 / 21) < 0.6  # the last momentum was still rising
    assert float(norm.batches) == 12


def test_one_batch_is_enough_for_statistics_that_known_weights_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_statistics, "branch_arrays", lambda model: model.get_weights())
    monkeypatch.setattr(
        moving_statistics,
        "assign_arrays",
        lambda model, weights: [
            variable.assign(weight)
            for variable, weight in zip(
                [variable for variable in model.variables if variable.name != "batches"][: len(weights)],
                weights,
                strict=False,
            )
        ],
    )
    branch = small_branch((75, 75, 3), 8)
    pixels = np.random.default_rng(2).uniform(0, 255, (16, 75, 75, 3)).astype(np.float32)
    pooled = (pixels / 127.5 - 1).reshape(16, 5, 15, 5, 15, 3).mean(axis=(2, 4))
    for known, share in ((False, 0.9), (True, 0.01)):
        warmed = with_warmed_norms(branch, known=known)
        warmed(pixels, training=True)
        found = numpy(warmed.get_layer("norm").moving_mean)
        np.testing.assert_allclose(found, share * pooled.mean(axis=(0, 1, 2)), rtol=1e-3)


@pytest.mark.parametrize("kind", [layers.BatchNormalization, WarmedBatchNormalization])
def test_settled_statistics_are_the_mean_over_the_batches(kind: type) -> None:
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, kind(name="norm")(inputs))
    norm, pieces = model.get_layer("norm"), [batch(1), batch(2), batch(3)]
    settle(model, iter(pieces))
    np.testing.assert_allclose(
        numpy(norm.moving_mean), np.mean([piece.mean(axis=(0, 1, 2)) for piece in pieces], axis=0), rtol=1e-4
    )
    np.testing.assert_allclose(
        numpy(norm.moving_variance), np.mean([piece.var(axis=(0, 1, 2)) for piece in pieces], axis=0), rtol=1e-4
    )
    assert norm.momentum == 0.99


def test_frozen_statistics_stay() -> None:
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, layers.BatchNormalization(name="norm", trainable=False)(inputs))
    settle(model, [batch(1)])
    np.testing.assert_array_equal(numpy(model.get_layer("norm").moving_mean), np.zeros(4))
