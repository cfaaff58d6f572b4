"""The three networks of MTCNN as OpenVINO graphs.

Architecture: K. Zhang, Z. Zhang, Z. Li, Y. Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016; weights of the `mtcnn` package 1.0.0 (see NOTICE).

Every network takes RGB images, (n, height, width, 3) uint8, and scales them to [-1, 1] itself. The first output is
the box regression in units of the window, the second is P(face).
"""

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import numpy as np
from safetensors.numpy import load

from twindex.embedder.inference.openvino_import import openvino, ops
from twindex.errors import IntegrityError
from twindex.types import Float32

Weights = Mapping[str, Float32]
Padding = Literal["valid", "same_upper"]

WEIGHTS_FILE = "mtcnn.safetensors"
WEIGHTS_SHA256 = "6644118784bafc0c991375be92ae9a3558f6c1b47569c633334ff71914955e52"


def load_weights() -> dict[str, Float32]:
    """Load the packaged weights: safetensors that map `<network>/<layer>/<kernel|bias|slope>` to float32 arrays.

    Convolution kernels are (out, in, height, width), dense ones (out, in) over (channels, height, width).

    Raises:
        IntegrityError: The file is not the one that was packaged.
    """
    data = (resources.files("twindex.embedder.faces") / WEIGHTS_FILE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise IntegrityError(
            f"The face detector's weights {WEIGHTS_FILE} are damaged: expected SHA-256 {WEIGHTS_SHA256}, got {digest}. "
            "Install Twindex again."
        )
    return load(data)


def proposal_network(weights: Weights) -> openvino.Model:
    """PNet: slides a 12 px window over one photo in steps of 2 px.

    Args:
        weights: From `load_weights`.

    Returns:
        (1, height, width, 3) -> offsets (1, rows, columns, 4), P(face) (1, rows, columns); of any size from 12 px.
    """
    image = ops.parameter([1, -1, -1, 3], np.uint8, name="image")
    x = _pool(_first_convolution(image, weights, "pnet/conv1"), 2, "same_upper")
    x = _convolution(x, weights, "pnet/conv2")
    x = _convolution(x, weights, "pnet/conv3")
    offsets = ops.transpose(_convolution(x, weights, "pnet/offsets"), [0, 2, 3, 1])
    return openvino.Model([offsets, _face_probability(_convolution(x, weights, "pnet/face"))], [image], "pnet")


def refinement_network(weights: Weights) -> openvino.Model:
    """RNet: judges and corrects windows.

    Args:
        weights: From `load_weights`.

    Returns:
        (n, 24, 24, 3) -> offsets (n, 4), P(face) (n,).
    """
    image = ops.parameter([-1, 24, 24, 3], np.uint8, name="image")
    x = _pool(_first_convolution(image, weights, "rnet/conv1"), 3, "same_upper")
    x = _pool(_convolution(x, weights, "rnet/conv2"), 3, "valid")
    x = _convolution(x, weights, "rnet/conv3")
    x = _dense(_flat(x), weights, "rnet/dense")
    return openvino.Model(
        [_dense(x, weights, "rnet/offsets"), _face_probability(_dense(x, weights, "rnet/face"))], [image], "rnet"
    )


def output_network(weights: Weights) -> openvino.Model:
    """ONet: judges and corrects windows, and places the five landmarks.

    Args:
        weights: From `load_weights`.

    Returns:
        (n, 48, 48, 3) -> offsets (n, 4), P(face) (n,), landmarks (n, 5, 2) as (x, y) in units of the window.
    """
    image = ops.parameter([-1, 48, 48, 3], np.uint8, name="image")
    x = _pool(_first_convolution(image, weights, "onet/conv1"), 3, "same_upper")
    x = _pool(_convolution(x, weights, "onet/conv2"), 3, "valid")
    x = _pool(_convolution(x, weights, "onet/conv3"), 2, "same_upper")
    x = _convolution(x, weights, "onet/conv4")
    x = _dense(_flat(x), weights, "onet/dense")
    # The layer gives five x, then five y.
    landmarks = ops.transpose(ops.reshape(_dense(x, weights, "onet/landmarks"), [-1, 2, 5], False), [0, 2, 1])
    return openvino.Model(
        [_dense(x, weights, "onet/offsets"), _face_probability(_dense(x, weights, "onet/face")), landmarks],
        [image],
        "onet",
    )


def _first_convolution(image: openvino.Node, weights: Weights, layer: str) -> openvino.Node:
    """A convolution of (n, h, w, 3) uint8, scaled to the [-1, 1] of the networks' training.

    The scaling, (pixel - 127.5) / 128, is folded into kernel and bias: on its own it would take a fifth of PNet's time.
    """
    kernel = weights[f"{layer}/kernel"].astype(np.float64) / 128
    bias = weights[f"{layer}/bias"] - 127.5 * kernel.sum(axis=(1, 2, 3))
    x = ops.transpose(ops.convert(image, np.float32), [0, 3, 1, 2])
    return _activated(_biased(x, kernel.astype(np.float32), bias.astype(np.float32)), weights, layer)


def _convolution(x: openvino.Node, weights: Weights, layer: str) -> openvino.Node:
    return _activated(_biased(x, weights[f"{layer}/kernel"], weights[f"{layer}/bias"]), weights, layer)


def _biased(x: openvino.Node, kernel: Float32, bias: Float32) -> openvino.Node:
    y = ops.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(y, bias.reshape(1, -1, 1, 1))


def _dense(x: openvino.Node, weights: Weights, layer: str) -> openvino.Node:
    y = ops.matmul(x, weights[f"{layer}/kernel"], False, True)
    return _activated(ops.add(y, weights[f"{layer}/bias"].reshape(1, -1)), weights, layer)


def _activated(x: openvino.Node, weights: Weights, layer: str) -> openvino.Node:
    """PReLU, if the layer has slopes; the output layers have none."""
    slope = weights.get(f"{layer}/slope")
    return x if slope is None else ops.prelu(x, slope)


def _pool(x: openvino.Node, side: int, padding: Padding) -> openvino.Node:
    pooled = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], auto_pad=padding)
    return pooled.output(0)


def _flat(x: openvino.Node) -> openvino.Node:
    return ops.reshape(x, [0, -1], True)


def _face_probability(logits: openvino.Node) -> openvino.Node:
    """The second of the two softmax outputs along axis 1 (not a face, face), without that axis."""
    return ops.gather(ops.softmax(logits, 1), np.int64(1), np.int64(1))
