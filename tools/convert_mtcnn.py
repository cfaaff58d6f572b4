"""Convert the weights of the `mtcnn` package into the file that the face detector reads.

Usage: python tools/convert_mtcnn.py WEIGHTS_FOLDER OUTPUT.safetensors

WEIGHTS_FOLDER is the `assets/weights` folder of mtcnn 1.0.0 (https://github.com/ipazc/mtcnn, MIT licence), which holds
`pnet.lz4`, `rnet.lz4` and `onet.lz4`: lists of arrays in the order of the Keras layers. Reading them needs the
packages `joblib` and `lz4`. joblib files are pickles: convert only files that come from a release you trust.

The output maps `<network>/<layer>/<kernel|bias|slope>` to float32 arrays in the layout of `faces/mtcnn_graph.py`.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

# Layers in the order of the Keras networks; a name ending in "*" is followed by a PReLU.
NETWORKS: dict[str, tuple[str, ...]] = {
    "pnet": ("conv1*", "conv2*", "conv3*", "offsets", "face"),
    "rnet": ("conv1*", "conv2*", "conv3*", "dense*", "offsets", "face"),
    "onet": ("conv1*", "conv2*", "conv3*", "conv4*", "dense*", "offsets", "landmarks", "face"),
}


def kernel_layout(kernel: NDArray[np.float32], flattened_channels: int | None) -> NDArray[np.float32]:
    """Bring one Keras kernel into the layout that OpenVINO multiplies by.

    Args:
        kernel: (height, width, in, out) of a convolution, or (in, out) of a dense layer.
        flattened_channels: Channels of the feature map that a dense layer flattens, None where it reads a vector.

    Returns:
        (out, in, height, width), or (out, in). The Keras networks flatten as (width, height, channels), a remnant of
        MATLAB's column-major order; the result flattens as (channels, height, width).
    """
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if flattened_channels is None:
        return kernel.T
    side = round((kernel.shape[0] / flattened_channels) ** 0.5)
    spatial = kernel.reshape(side, side, flattened_channels, -1)
    return spatial.transpose(3, 2, 1, 0).reshape(kernel.shape[1], -1)


def convert(network: str, arrays: list[NDArray[np.float32]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and lay out the arrays of one network."""
    remaining = iter(arrays)
    channels: int | None = None
    for marked in NETWORKS[network]:
        layer = marked.rstrip("*")
        kernel, bias = next(remaining), next(remaining)
        yield f"{network}/{layer}/kernel", kernel_layout(kernel, channels if layer == "dense" else None)
        yield f"{network}/{layer}/bias", bias
        if marked.endswith("*"):
            yield f"{network}/{layer}/slope", next(remaining).reshape(-1)
        channels = kernel.shape[-1]
    if next(remaining, None) is not None:
        raise SystemExit(f"{network}: more arrays than layers; expected the weights of mtcnn 1.0.0.")


def main() -> None:
    """Convert the three networks and print the digest that `faces/mtcnn_graph.py` expects."""
    parser = argparse.ArgumentParser(description="Convert the weights of the mtcnn package.")
    parser.add_argument("weights", type=Path, help="folder with pnet.lz4, rnet.lz4 and onet.lz4")
    parser.add_argument("output", type=Path, help="safetensors file to write")
    arguments = parser.parse_args()
    tensors = {
        name: np.ascontiguousarray(array, dtype=np.float32)
        for network in NETWORKS
        for name, array in convert(network, joblib.load(arguments.weights / f"{network}.lz4"))
    }
    save_file(tensors, arguments.output)
    print(hashlib.sha256(arguments.output.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
