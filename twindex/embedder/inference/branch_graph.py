"""The trained branch as an OpenVINO graph, built from a bundle's arrays without TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.inference.openvino_import import openvino, ops
from twindex.embedder.model.inception import BATCH_NORM_EPSILON, Conv, Parallel, Path, Pool, activations, inception_v3

_ROWS, _COLUMNS = 1, 2  # axes of (n, height, width, channels)
_TOGETHER = 4  # input channels that processors take at a time
_LARGEST_WHOLE, _LARGEST_PAIR = 127, 127.5  # so that two rounded numbers add up to 128 at most
_SMALLEST_SQUARED_LENGTH = 1e-12  # as keras.layers.UnitNormalization has it


def build_branch(
    arrays: Mapping[str, NDArray[Any]],
    input_shape: tuple[int, int, int],
    *,
    mirror: bool,
    ranges: Sequence[float] | None = None,
) -> openvino.Model:
    """The graph from pixels to templates.

    Normalisation is folded into the convolutions in float64, which costs no accuracy.

    Args:
        arrays: With the names and shapes of `inception.array_shapes`, any float dtype.
        input_shape: (height, width, 3); at least 75 x 75.
        mirror: Whether a template is the normalised sum of the image's and its mirror image's.
        ranges: For arithmetic in 8 bits, the upper bound of each activation in the order of `inception.activations`;
            None leaves the precision to the compiler.

    Returns:
        Graph from (n, height, width, 3) uint8 RGB, n dynamic, to (n, dim) float32 of unit length.

    Raises:
        KeyError: An array is missing.
        ValueError: The number of ranges is not the number of activations.
    """
    if ranges is not None and len(ranges) != len(activations()):
        raise ValueError(f"Expected {len(activations())} ranges, one for each activation, got {len(ranges)}.")
    pixels = _pixels(input_shape)
    images = pixels
    if mirror:
        # One batch of double size reads each weight only once.
        backwards = np.arange(input_shape[1])[::-1].copy()
        images = ops.concat([pixels, ops.gather(pixels, backwards, _COLUMNS)], 0)
    scaled = _scaled(images) if ranges is None else _rounded(_scaled(images), -1.0, 1.0)
    features = _Features(arrays, ranges).along(inception_v3(), scaled)
    averaged = ops.reduce_mean(features, [2, 3])
    projected = ops.add(
        ops.matmul(averaged, _constant(arrays["projection/kernel"]), False, False),
        _constant(arrays["projection/bias"]),
    )
    template = _unit_length(projected)
    if mirror:
        upright, mirrored = ops.split(template, 0, 2).outputs()
        template = _unit_length(ops.add(upright, mirrored))
    return openvino.Model([template], [pixels], "branch")


def build_maxima(arrays: Mapping[str, NDArray[Any]], input_shape: tuple[int, int, int]) -> openvino.Model:
    """The graph from pixels to the largest value of each activation, which measures the ranges for 8 bits.

    Args:
        arrays, input_shape: As for `build_branch`.

    Returns:
        Graph from (n, height, width, 3) uint8 RGB to (n, activations) float32, in the order of `inception.activations`.
    """
    pixels = _pixels(input_shape)
    features = _Features(arrays, None)
    features.along(inception_v3(), _scaled(pixels))
    maxima = [ops.reduce_max(activation, [1, 2, 3]) for activation in features.activations]
    return openvino.Model([ops.concat([ops.unsqueeze(maximum, 1) for maximum in maxima], 1)], [pixels], "maxima")


def _pixels(input_shape: tuple[int, int, int]) -> openvino.Node:
    return ops.parameter([-1, *input_shape], np.uint8, name="pixels")


def _scaled(images: openvino.Node) -> openvino.Node:
    """(n, height, width, 3) uint8 to (n, 3, height, width) float32 from -1 to 1."""
    values = ops.subtract(ops.multiply(ops.convert(images, np.float32), np.float32(1 / 127.5)), np.float32(1))
    return ops.transpose(values, [0, 3, 1, 2])


class _Features:
    """Adds the steps of a path to the graph and takes the convolutions' arrays in creation order.

    With `ranges`, kernels and activations are rounded to 8 bits, so that OpenVINO computes with whole numbers.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], ranges: Sequence[float] | None) -> None:
        self._arrays = arrays
        self._ranges = ranges
        self._next = 0
        self.activations: list[openvino.Node] = []

    def along(self, path: Path, x: openvino.Node) -> openvino.Node:
        for step in path:
            x = self._step(step, x)
        return x

    def _step(self, step: Conv | Pool | Parallel, x: openvino.Node) -> openvino.Node:
        if isinstance(step, Conv):
            return self._convolution(step, x)
        if isinstance(step, Parallel):
            return ops.concat([self.along(path, x) for path in step.paths], 1)
        if step.kind == "max":
            return ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3]).output(0)
        return self._activation(ops.avg_pool(x, [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=True))

    def _convolution(self, conv: Conv, x: openvino.Node) -> openvino.Node:
        kernel, bias = folded(self._arrays, f"conv_{self._next:02d}")
        self._next += 1
        # For `same` at stride 1, Keras pads (size - 1) / 2 zeros on each side: all sizes are odd.
        pads = [conv.rows // 2, conv.columns // 2] if conv.padding == "same" else [0, 0]
        weights = _constant(kernel) if self._ranges is None else _rounded_kernel(kernel)
        convolved = ops.convolution(x, weights, [conv.stride, conv.stride], pads, pads, [1, 1])
        return self._activation(ops.relu(ops.add(convolved, _constant(bias))))

    def _activation(self, x: openvino.Node) -> openvino.Node:
        self.activations.append(x)
        return x if self._ranges is None else _rounded(x, 0.0, self._ranges[len(self.activations) - 1])


def _rounded(x: openvino.Node, low: float, high: float) -> openvino.Node:
    """The activation, rounded to 256 steps."""
    edges = (np.float32(low), np.float32(high))
    return ops.fake_quantize(x, *edges, *edges, 256)


def _rounded_kernel(kernel: NDArray[np.float32]) -> openvino.Node:
    """The kernel, rounded to whole numbers from -127 to 127 times a scale for each output channel.

    Processors without dot products of 8-bit numbers (VNNI) take four input channels at a time and add two products in
    16 bits. There 127 x 255 + 127 x 255 would overflow and give a wrong template. So no two of the four numbers exceed
    128 together, and all processors compute the same.
    """
    out, channels, rows, columns = kernel.shape
    fours = np.pad(np.abs(kernel), ((0, 0), (0, -channels % _TOGETHER), (0, 0), (0, 0)))
    fours = np.sort(fours.reshape(out, -1, _TOGETHER, rows, columns), axis=2)
    largest, pair = fours[:, :, -1], fours[:, :, -2] + fours[:, :, -1]
    edge = np.maximum(largest, pair * _LARGEST_WHOLE / _LARGEST_PAIR).max(axis=(1, 2, 3)).reshape(-1, 1, 1, 1)
    edge = edge.clip(np.finfo(np.float32).tiny)
    edges = (_constant(-edge), _constant(edge))
    return ops.fake_quantize(_constant(kernel), *edges, *edges, 255)


def folded(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A convolution with its normalisation folded in.

    Args:
        arrays: They hold `<name>/kernel` (rows, columns, in, out), `<name>/beta`, `/mean` and `/variance` (out,).
        name: Name of the convolution.

    Returns:
        Kernel (out, in, rows, columns) and bias (1, out, 1, 1), float32.
    """
    kernel, beta, mean, variance = (
        arrays[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "beta", "mean", "variance")
    )
    scale = 1 / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = (kernel * scale).transpose(3, 2, 0, 1)
    bias = (beta - mean * scale).reshape(1, -1, 1, 1)
    return kernel.astype(np.float32, order="C"), bias.astype(np.float32)


def _unit_length(x: openvino.Node) -> openvino.Node:
    return ops.normalize_l2(x, np.array([1]), _SMALLEST_SQUARED_LENGTH, "max")


def _constant(array: NDArray[Any]) -> openvino.Node:
    # Operations also accept arrays, but convert them through lists of Python numbers: a second for a branch.
    return ops.constant(np.ascontiguousarray(array, dtype=np.float32))
