"""Fused normalisation: Keras' own values, gradients and statistics."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from twindex.embedder.training.twin.fused_norm import FusedBatchNormalization, with_fused_norms

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the kernel is TensorFlow's")


def model(scale: bool = False) -> keras.Model:
    """A convolution, a normalisation (InceptionV3's has no scale), and something to learn from."""
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((6, 5, 3)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(axis=3, scale=scale, momentum=0.9),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def batch() -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(2)
    return random.normal(3, 2, (8, 6, 5, 3)).astype(np.float32), random.normal(size=(8, 2)).astype(np.float32)


@pytest.mark.parametrize("scale", [False, True])
def test_it_learns_what_keras_learns(scale: bool) -> None:
    plain = model(scale)
    fused = with_fused_norms(plain)
    assert type(fused.layers[1]) is FusedBatchNormalization
    pixels, wanted = batch()
    losses = []
    for one in (plain, fused):
        one.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
        losses.append([one.train_on_batch(pixels, wanted) for _ in range(5)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < 0.9 * losses[0][0]
    for mine, theirs in zip(fused.weights, plain.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=2e-4, err_msg=theirs.path)


def test_inference_uses_the_statistics() -> None:
    plain = model()
    plain.layers[1].moving_mean.assign(np.arange(4, dtype=np.float32))
    fused = with_fused_norms(plain)
    pixels, _ = batch()
    np.testing.assert_array_equal(fused(pixels, training=False), plain(pixels, training=False))
