"""A branch's weights as a file: safetensors of float16 arrays, with the names and shapes of `inception.array_shapes`.

A file's header is checked before any array is read: a small file can claim gigabytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from twindex.embedder.model.foreign_file import BUNDLE, kind_of_file, refusal
from twindex.embedder.model.inception import array_shapes
from twindex.errors import BundleError

_LENGTH_BYTES = 8  # the header's length comes first: unsigned, little-endian
_LARGEST_HEADER = 1 << 20
_ITEM_BYTES = 2


def encode_weights(arrays: Mapping[str, NDArray[Any]], dim: int) -> bytes:
    """The content of the weights file for a branch's arrays.

    Args:
        arrays: Any float dtype; rounded to float16.
        dim: Length of the template.

    Raises:
        BundleError: A name or a shape is not a branch's, a number does not fit float16, or a variance is negative.
    """
    _check_shapes({name: array.shape for name, array in arrays.items()}, dim)
    with np.errstate(over="ignore"):  # numbers that overflow become infinite, and are refused below
        halves = {name: np.ascontiguousarray(arrays[name], dtype=np.float16) for name in sorted(arrays)}
    _check_values(halves)
    return save(halves)


def check_weights_header(file: Path, dim: int) -> None:
    """Check names, dtypes, shapes and length of a weights file without reading its arrays.

    Raises:
        BundleError: They do not fit a branch with templates of length `dim`.
        ForeignFileError: The file is really a pickle, a zip file or an HDF5 file.
    """
    if kind_of_file(file) in ("hdf5", "zip", "pickle"):
        raise refusal(file, BUNDLE)
    with file.open("rb") as opened:
        check_weights_stream(opened, file.stat().st_size, dim, str(file))


def check_weights_stream(stream: BinaryIO, length: int, dim: int, name: str = "The weights file") -> None:
    """Check the header of a weights file against the architecture without reading its arrays.

    Args:
        stream: At the file's start; any bytes.
        length: Length of the whole file, bytes.
        dim: Length of the template.
        name: What messages call the file.

    Raises:
        BundleError: It is not the header of a branch's weights.
    """
    header, start = _read_header(stream, name)
    header.pop("__metadata__", None)
    entries = {array: entry if isinstance(entry, dict) else {} for array, entry in header.items()}
    dtypes = {str(entry.get("dtype")) for entry in entries.values()}
    if dtypes != {"F16"}:
        raise BundleError(f"{name} holds arrays of dtype {', '.join(sorted(dtypes)) or 'none'}; expected F16.")
    _check_shapes({array: entry.get("shape") for array, entry in entries.items()}, dim)
    expected = start + _data_bytes(dim)
    if length != expected:
        raise BundleError(
            f"{name} is {length} bytes long, expected {expected}: it is damaged. Install the model again."
        )


def read_weights(file: Path, dim: int, sha256: str) -> bytes:
    """The content of a weights file, whose hash has been compared.

    Raises:
        BundleError: The file is longer than a branch's can be, or its SHA-256 differs.
    """
    longest = _LENGTH_BYTES + _LARGEST_HEADER + _data_bytes(dim)
    length = file.stat().st_size
    if length > longest:
        raise BundleError(f"{file} is {length} bytes long; a branch's weights have at most {longest}.")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise BundleError(
            f"{file} is not what the model's card describes: expected SHA-256 {sha256 or '(none)'}, got {digest}. "
            "Install the model again."
        )
    return content


def decode_weights(content: bytes, dim: int) -> dict[str, NDArray[np.float16]]:
    """The arrays in the content of a weights file.

    Raises:
        BundleError: It is not safetensors, a name or a shape is not a branch's, a number is not finite, or a
            variance is negative.
    """
    try:
        arrays: dict[str, NDArray[np.float16]] = load(content)
    except SafetensorError as error:
        raise BundleError(f"The weights are not a safetensors file: {error}.") from error
    _check_shapes({name: array.shape for name, array in arrays.items()}, dim)
    _check_values(arrays)
    return arrays


def _read_header(stream: BinaryIO, name: str) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and the position of its data."""
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if length > _LARGEST_HEADER:
        raise BundleError(f"{name} is not a safetensors file: its header would be {length} bytes long.")
    try:
        header = json.loads(stream.read(length))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not a safetensors file: its header is not JSON ({error}).") from error
    if not isinstance(header, dict):
        raise BundleError(f"{name} is not a safetensors file: its header is not an object.")
    return header, _LENGTH_BYTES + length


def _data_bytes(dim: int) -> int:
    return _ITEM_BYTES * sum(int(np.prod(shape)) for shape in array_shapes(dim).values())


def _check_shapes(shapes: Mapping[str, Any], dim: int) -> None:
    expected = array_shapes(dim)
    if shapes.keys() != expected.keys():
        wrong = sorted(shapes.keys() ^ expected.keys())
        raise BundleError(f"The weights have {len(wrong)} missing or unknown names, such as {wrong[0]!r}.")
    for name, shape in expected.items():
        given = shapes[name]
        if not isinstance(given, (list, tuple)) or tuple(given) != shape:
            raise BundleError(f"The weights have {name} of shape {given}, expected {shape}.")


def _check_values(arrays: Mapping[str, NDArray[np.float16]]) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise BundleError(f"The weights have numbers in {name} that are not finite in float16.")
        if name.endswith("/variance") and (array < 0).any():
            raise BundleError(f"The weights have negative numbers in {name}.")
