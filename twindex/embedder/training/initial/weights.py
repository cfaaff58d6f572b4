"""Start a branch from folded ImageNet weights (`folded_weights.py`).

Keras' InceptionV3 normalises without a learned scale, so the folded function is kept by measuring
each convolution's output on faces and by moving each channel's scale into the kernels that read it; ReLU, pooling
and concatenation let a positive scale through.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from twindex.embedder.model.inception import BATCH_NORM_EPSILON
from twindex.embedder.training.initial.folded import layer_names
from twindex.embedder.training.twin.network import convolutions
from twindex.types import UInt8


def initialise_from_folded(branch: keras.Model, path: Path, faces: UInt8) -> list[str]:
    """Set the branch's convolutions from a folded file, keeping the function it computes.

    Args:
        branch: As built by `build_branch`; changed in place.
        path: The `.npz` file, as `check_folded_weights` lets it pass.
        faces: (n, height, width, 3) uint8, a few dozen face crops on which outputs are measured.

    Returns:
        Names of the layers whose kernels the file lacks.
    """
    pairs = convolutions(branch)
    with np.load(path, allow_pickle=False) as folded:
        missing = [name for name in layer_names() if f"{name}/kernel" not in folded]
        for name, (convolution, norm) in zip(layer_names(), pairs, strict=True):
            _assign_folded(name, convolution, norm, folded)
    measured = keras.Model(branch.input, [convolution.output for convolution, _ in pairs])
    outputs = [
        np.asarray(keras.ops.convert_to_numpy(output), np.float32) for output in measured(faces.astype("float32"))
    ]
    scales = _scales(pairs, outputs)
    _move_scales(branch, pairs, outputs, scales)
    return missing


def _assign_folded(name: str, convolution: Any, norm: Any, folded: Any) -> None:
    """The folded convolution with a normalisation that only adds the bias."""
    if f"{name}/kernel" in folded:
        convolution.kernel.assign(folded[f"{name}/kernel"].astype(np.float32))
    bias = folded[f"{name}/bias"].astype(np.float32)
    norm.beta.assign(bias)
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.full_like(bias, 1 - BATCH_NORM_EPSILON))


def _scales(pairs: list[Any], outputs: list[NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Standard deviation of every convolution's output channels, by the normalisation's layer name."""
    return {
        norm.name: np.sqrt(output.var(axis=(0, 1, 2), dtype=np.float64) + BATCH_NORM_EPSILON).astype(np.float32)
        for (_, norm), output in zip(pairs, outputs, strict=True)
    }


def _move_scales(
    branch: keras.Model, pairs: list[Any], outputs: list[NDArray[np.float32]], scales: dict[str, NDArray[np.float32]]
) -> None:
    """Normalise every convolution's output and undo its scale in the kernels that read it."""
    producers = {id(layer.output): layer for layer in branch.layers}

    def scale_of(tensor: Any) -> NDArray[np.float32]:
        layer = producers[id(tensor)]
        if isinstance(layer, layers.BatchNormalization):
            return scales[layer.name]
        if isinstance(layer, layers.Concatenate):
            return np.concatenate([scale_of(part) for part in layer.input])
        if isinstance(layer, layers.Rescaling):
            return np.ones(tensor.shape[-1], np.float32)
        return scale_of(layer.input)

    for (convolution, norm), output in zip(pairs, outputs, strict=True):
        kernel = keras.ops.convert_to_numpy(convolution.kernel)
        bias = keras.ops.convert_to_numpy(norm.beta)
        mean = output.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
        scale = scales[norm.name]
        convolution.kernel.assign(kernel * scale_of(convolution.input)[:, None])
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(scale**2 - BATCH_NORM_EPSILON)
        norm.beta.assign((bias + mean) / scale)
