"""Other ways to train a twin with Keras' own `fit`: on distances of pairs, and on triplets.

The models share the twin's branch: training one of them trains the twin, but for its head, which is fitted to the
distances afterwards.
"""

from typing import Any

import keras
from keras import ops

from twindex.embedder.training.twin.network import EuclideanDistance


@keras.saving.register_keras_serializable(package="twindex")
class ContrastiveLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """Contrastive loss of a pair: same * d^2 + (1 - same) * max(margin - d, 0)^2, halved.

    R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.

    Args:
        margin: Euclidean distance from which two persons are far enough apart, up to 2.
    """

    def __init__(self, margin: float = 1.0, name: str = "contrastive", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        same = ops.reshape(ops.cast(y_true, y_pred.dtype), ops.shape(y_pred))
        push = ops.square(ops.maximum(self.margin - y_pred, 0.0))
        return ops.mean(0.5 * (same * ops.square(y_pred) + (1.0 - same) * push), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="twindex")
class TripletLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """Triplet loss max(d(anchor, positive)^2 - d(anchor, negative)^2 + margin, 0); the labels are not read.

    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Args:
        margin: Squared distance by which the negative must be farther away than the positive.
    """

    def __init__(self, margin: float = 0.2, name: str = "triplet", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        squared = ops.square(y_pred)
        return ops.maximum(squared[:, 0] - squared[:, 1] + self.margin, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


def distance_twin(twin: keras.Model) -> keras.Model:
    """The twin without its head: two images to their Euclidean distance, (n, 1)."""
    return keras.Model(twin.inputs, twin.get_layer("distance").output, name="distance_twin")


def triplet_twin(twin: keras.Model) -> keras.Model:
    """The twin's branch called three times: anchor, positive, negative to (n, 2), the distances from the anchor."""
    branch = twin.get_layer("branch")
    inputs = [keras.Input(branch.input_shape[1:], name=name) for name in ("anchor", "positive", "negative")]
    anchor, positive, negative = (branch(pixels) for pixels in inputs)
    distances = [EuclideanDistance(dtype="float32")([anchor, other]) for other in (positive, negative)]
    return keras.Model(inputs, keras.layers.Concatenate(dtype="float32")(distances), name="triplet_twin")
