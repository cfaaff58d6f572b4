"""A twin for users of Keras: any size, with the weights of a model or with new ones."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from twindex.embedder.model.inception import SMALLEST_SIDE
from twindex.embedder.model.registry import find_model
from twindex.embedder.training.initial.checked_file import check_weights_file
from twindex.embedder.training.twin.moving_statistics import with_warmed_norms
from twindex.embedder.training.twin.network import assign_arrays, build_branch, build_twin
from twindex.embedder.training.twin.saved import check_dim, read_weights_file
from twindex.errors import UsageError

_LARGEST_DIM = 4096


def build_siamese(input_shape: tuple[int, int, int], dim: int, weights: str | None) -> keras.Model:
    """A twin whose normalisations warm up.

    Args:
        input_shape: (height, width, 3), pixels.
        dim: Length of a template.
        weights: None, "imagenet", a `.weights.h5` file, or a model of Twindex.

    Raises:
        UsageError: A value is out of range, or there is no such model.
        BundleError: The model's templates have another length, or its files are damaged.
    """
    shape = tuple(input_shape)
    if len(shape) != 3 or min(shape[:2]) < SMALLEST_SIDE or shape[2] != 3:
        raise UsageError(f"Expected an input_shape of (height, width, 3), {SMALLEST_SIDE} or more; got {input_shape}.")
    if not 2 <= dim <= _LARGEST_DIM:
        raise UsageError(f"Expected a dim from 2 to {_LARGEST_DIM}, got {dim}.")
    if weights is None or weights == "imagenet" or weights.endswith(".h5"):
        branch = build_branch(shape, dim, _checked(weights))
        return build_twin(with_warmed_norms(branch, known=weights is not None))
    arrays, head = _of_model(weights)
    check_dim(arrays, dim)
    branch = build_branch(shape, dim)
    assign_arrays(branch, arrays)
    twin = build_twin(with_warmed_norms(branch, known=True))
    if head is not None:
        twin.get_layer("head").set_weights([np.array([[head[0]]], np.float32), np.array([head[1]], np.float32)])
    return twin


def _checked(weights: str | None) -> str | None:
    if weights is not None and weights != "imagenet":
        if not Path(weights).is_file():
            raise UsageError(f"There is no weights file {weights}.")
        check_weights_file(Path(weights))
    return weights


def _of_model(weights: str) -> tuple[dict[str, Any], tuple[float, float] | None]:
    """A model's arrays, and its head's weight and bias."""
    if Path(weights).is_file():
        return read_weights_file(Path(weights)), None
    bundle = find_model(weights)
    return bundle.arrays(), (bundle.card.head_weight, bundle.card.head_bias)
