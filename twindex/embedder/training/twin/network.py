"""The twin network: one InceptionV3 branch, called for both inputs, a distance and a learned head.

    image A ─┐
             ├─ one branch, shared weights ─ EuclideanDistance ─ Dense(1, sigmoid) ─ P(same person)
    image B ─┘

Only Keras operations, so that it runs on the TensorFlow, JAX and torch backends alike.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from twindex.embedder.model.inception import kernel_shapes

HEAD_WEIGHT = -6.0
HEAD_BIAS = 6.6


@keras.saving.register_keras_serializable(package="twindex")
class EuclideanDistance(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Row-wise Euclidean distance sqrt(max(sum((a - b)^2), epsilon)) of two (n, dim) tensors, shape (n, 1).

    Args:
        epsilon: Lower bound of the squared distance; keeps the gradient finite where a equals b.

    Raises:
        ValueError: `epsilon` is not positive.
    """

    def __init__(self, epsilon: float = 1e-12, **options: Any) -> None:
        if epsilon <= 0:
            raise ValueError(f"Expected a positive epsilon, got {epsilon}.")
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, inputs: tuple[Any, Any]) -> Any:
        first, second = inputs
        squared = ops.sum(ops.square(first - second), axis=-1, keepdims=True)
        return ops.sqrt(ops.maximum(squared, self.epsilon))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, int]:
        return (input_shape[0][0], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="twindex")
class Negative(keras.constraints.Constraint):  # type: ignore[misc]  # Keras ships no types
    """Keeps a weight below zero: the farther two faces are, the less likely they are the same person."""

    def __call__(self, weight: Any) -> Any:
        return ops.minimum(weight, -1e-3)


def build_branch(
    input_shape: tuple[int, int, int] = (224, 224, 3), dim: int = 128, weights: str | Path | None = None
) -> keras.Model:
    """The shared branch: pixels to a unit-length template.

    Args:
        input_shape: (height, width, 3); at least 75 x 75.
        dim: Length of the template.
        weights: None for random weights, "imagenet" to download Keras' own (needs a network), or the path
            of a `.weights.h5` file for the InceptionV3 part, as Keras saves them.

    Returns:
        Model from (n, height, width, 3) pixels, RGB, 0 to 255, to (n, dim) float32 of unit length.
    """
    pixels = keras.Input(input_shape, name="pixels")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    inception = keras.applications.InceptionV3(
        include_top=False,
        weights=None if weights is None else str(weights),
        input_tensor=scaled,
        input_shape=input_shape,
        pooling="avg",
    )
    features = layers.Activation("linear", dtype="float32", name="features")(inception.output)
    projected = layers.Dense(dim, dtype="float32", name="projection")(features)
    template = layers.UnitNormalization(dtype="float32", name="template")(projected)
    return keras.Model(pixels, template, name="branch")


def build_head() -> keras.layers.Layer:
    """The learned head P(same) = sigmoid(w * distance + b), w below zero."""
    return layers.Dense(
        1,
        activation="sigmoid",
        kernel_initializer=keras.initializers.Constant(HEAD_WEIGHT),
        bias_initializer=keras.initializers.Constant(HEAD_BIAS),
        kernel_constraint=Negative(),
        dtype="float32",
        name="head",
    )


def build_twin(branch: keras.Model) -> keras.Model:
    """The Siamese twin over one `branch`, called twice: two images to P(same person), shape (n, 1)."""
    first = keras.Input(branch.input_shape[1:], name="first")
    second = keras.Input(branch.input_shape[1:], name="second")
    distance = EuclideanDistance(dtype="float32", name="distance")([branch(first), branch(second)])
    probability = build_head()(distance)
    return keras.Model([first, second], probability, name="twin")


def convolutions(branch: keras.Model) -> list[tuple[keras.layers.Conv2D, keras.layers.BatchNormalization]]:
    """The branch's 94 convolutions in creation order, each with the BatchNormalization that follows it."""
    found = _by_creation(branch, layers.Conv2D)
    norms = _by_creation(branch, layers.BatchNormalization)
    count = len(kernel_shapes())
    if len(found) != count or len(norms) != count:
        raise ValueError(f"Expected InceptionV3's {count} convolutions, got {len(found)} and {len(norms)} norms.")
    return list(zip(found, norms, strict=True))


def freeze(branch: keras.Model, count: int) -> None:
    """Let the first `count` convolutions and their normalisations keep what they have, and all later ones learn."""
    for kind in (layers.Conv2D, layers.BatchNormalization):
        for number, layer in enumerate(_by_creation(branch, kind)):
            layer.trainable = number >= count


def branch_arrays(branch: keras.Model) -> dict[str, NDArray[np.float32]]:
    """The branch's weights by the names that a bundle stores: `conv_00/kernel` ... `projection/bias`."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(branch).items()}


def assign_arrays(branch: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Set the branch's weights from arrays named as `branch_arrays` names them.

    Raises:
        ValueError: A name is missing or unknown, or a shape differs.
    """
    variables = _variables(branch)
    if set(variables) != set(arrays):
        raise ValueError(f"Weight names differ: {sorted(set(variables) ^ set(arrays))[:4]} ...")
    for name, variable in variables.items():
        if variable.shape != arrays[name].shape:
            raise ValueError(f"Expected {name} of shape {variable.shape}, got {arrays[name].shape}.")
        variable.assign(np.asarray(arrays[name], dtype=np.float32))


def _variables(branch: keras.Model) -> dict[str, Any]:
    named = {}
    for number, (convolution, norm) in enumerate(convolutions(branch)):
        named[f"conv_{number:02d}/kernel"] = convolution.kernel
        named[f"conv_{number:02d}/beta"] = norm.beta
        named[f"conv_{number:02d}/mean"] = norm.moving_mean
        named[f"conv_{number:02d}/variance"] = norm.moving_variance
    projection = branch.get_layer("projection")
    return {**named, "projection/kernel": projection.kernel, "projection/bias": projection.bias}


def _by_creation(branch: keras.Model, kind: type) -> list[Any]:
    """Layers of one kind; Keras numbers automatic names as it creates layers: conv2d, conv2d_1, ..."""
    numbered = re.compile(r".*_(\d+)$")

    def number(layer: Any) -> int:
        found = numbered.match(layer.name.removeprefix("batch_"))
        return int(found.group(1)) if found else 0

    return sorted((layer for layer in branch.layers if isinstance(layer, kind)), key=number)
