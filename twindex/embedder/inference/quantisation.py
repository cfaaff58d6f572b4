"""The ranges of a branch's activations, measured on faces. In 8 bits, each range is divided into 256 steps.

Rounding as in B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018: per channel for kernels, per tensor for activations, which start at 0 after a ReLU.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.inference.branch_graph import build_maxima
from twindex.embedder.inference.runtime import compile_network
from twindex.embedder.model.inception import activations
from twindex.types import UInt8

FACES = 300
_AT_ONCE = 32
_SHARE = 0.99  # share of faces whose largest value is within the range; larger values are clipped
_SMALLEST = 1e-6  # even an activation that is always 0 needs a range


def activation_ranges(
    arrays: Mapping[str, NDArray[Any]], input_shape: tuple[int, int, int], images: UInt8
) -> tuple[float, ...]:
    """Upper bounds of all activations.

    Args:
        arrays: With the names and shapes of `inception.array_shapes`, any float dtype.
        input_shape: (height, width, 3).
        images: (n, height, width, 3) uint8, RGB, faces as the network sees them; `FACES` are enough.

    Returns:
        One bound for each activation of `inception.activations`, the same within a group.

    Raises:
        ValueError: There are no images.
    """
    if not len(images):
        raise ValueError("The ranges of activations are measured on at least one face.")
    network = compile_network(build_maxima(arrays, input_shape))
    maxima = np.concatenate([network(images[at : at + _AT_ONCE])[0] for at in range(0, len(images), _AT_ONCE)])
    bounds = np.maximum(np.quantile(maxima, _SHARE, axis=0), _SMALLEST)
    groups = np.array(activations())
    return tuple(float(bounds[groups == group].max()) for group in groups)
