"""Moving statistics of batch normalisation that belong to the weights, however few steps these have learned.

In inference a normalisation uses moving averages that start at mean 0 and variance 1. With Keras' momentum of 0.99 the
start still counts for 82 % after 20 batches and for 37 % after 100, so a network that began with random weights answers
nearly the same for every photo, although it has learned. Two ways out, for training with Keras and for a run.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from twindex.embedder.training.twin.network import assign_arrays, branch_arrays
from twindex.types import Float32

_KNOWN = 1_000  # batches after which the momentum is the full one; statistics that come with weights count as known


@keras.saving.register_keras_serializable(package="twindex")
class WarmedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """Keras' layer whose momentum rises from 0.1 to its own: min(momentum, (1 + n) / (10 + n)) after n batches.

    The rule is that of TensorFlow's `tf.train.ExponentialMovingAverage` with `num_updates`.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.batches = self.add_weight(
            name="batches", shape=(), initializer="zeros", trainable=False, dtype="float32", autocast=False
        )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        exact = ops.cast(inputs, "float32")
        axes = [axis for axis in range(len(inputs.shape)) if axis != self.axis % len(inputs.shape)]
        mean, variance = ops.moments(exact, axes=axes)
        momentum = ops.minimum(self.momentum, (1.0 + self.batches) / (10.0 + self.batches))
        self.moving_mean.assign(self.moving_mean * momentum + mean * (1 - momentum))
        self.moving_variance.assign(self.moving_variance * momentum + variance * (1 - momentum))
        self.batches.assign(self.batches + 1)
        normalised = ops.batch_normalization(
            exact,
            mean=mean,
            variance=variance,
            axis=self.axis,
            offset=ops.cast(self.beta, "float32") if self.center else None,
            scale=ops.cast(self.gamma, "float32") if self.scale else None,
            epsilon=self.epsilon,
        )
        return ops.cast(normalised, self.compute_dtype)


def with_warmed_norms(branch: keras.Model, *, known: bool) -> keras.Model:
    """A copy of a branch whose normalisations warm up.

    Args:
        branch: As built by `build_branch`.
        known: Whether its statistics belong to its weights already; then the momentum is the full one from the start.
    """
    copy = keras.models.clone_model(branch, clone_function=_warmed)
    assign_arrays(copy, branch_arrays(branch))
    for norm in _norms(copy):
        norm.batches.assign(float(_KNOWN if known else 0))
    return copy


def settle(branch: keras.Model, batches: Iterable[Float32]) -> None:
    """Measure the moving statistics again, as the mean over some batches, with the weights as they are.

    This is the last step of P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    UAI 2018. Layers that are frozen keep what they have.

    Args:
        branch: Any model with batch normalisation; its statistics are changed in place.
        batches: Pixels (n, height, width, 3) float32, RGB, 0 to 255; one batch at least.
    """
    norms = _norms(branch)
    momenta, sums, count = [norm.momentum for norm in norms], None, 0
    try:
        for norm in norms:
            norm.momentum = 0.0  # the moving statistics become the batch's own
        for pixels in batches:
            branch(pixels, training=True)
            measured = [_statistics(norm) for norm in norms]
            sums = measured if sums is None else [before + added for before, added in zip(sums, measured, strict=True)]
            count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    for norm, total in zip(norms, sums or [], strict=sums is not None):
        mean, variance = total / count
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def _statistics(norm: Any) -> Float32:
    """(2, channels) float32: mean and variance."""
    both = [np.asarray(ops.convert_to_numpy(value)) for value in (norm.moving_mean, norm.moving_variance)]
    return np.stack(both).astype(np.float32)


def _norms(branch: keras.Model) -> list[Any]:
    return [layer for layer in branch.layers if isinstance(layer, layers.BatchNormalization)]


def _warmed(layer: Any) -> Any:
    kind = WarmedBatchNormalization if type(layer) is layers.BatchNormalization else type(layer)
    return kind.from_config(layer.get_config())
