"""Folded ImageNet weights in a file, looked through before any array is read. No Keras.

The file (`.npz`) holds InceptionV3's convolutions with BatchNorm folded in: `<layer>/kernel` (h, w, in, out) and
`<layer>/bias` (out,), named as in the TensorFlow release of 2015-12-05; a few kernels may be missing, and then keep
their random start.
"""

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from numpy.lib import format as npy

from twindex.embedder.model.foreign_file import WEIGHTS
from twindex.embedder.model.inception import kernel_shapes
from twindex.errors import ForeignFileError

_LARGEST_HEADER = 10_000
_MOST_RANDOM = 4  # kernels that a file may lack
_SUFFIX = ".npy"

_INNER = {
    **dict.fromkeys(
        ("mixed", "mixed_1", "mixed_2"),
        "conv tower_conv tower_conv_1 tower_1_conv tower_1_conv_1 tower_1_conv_2 tower_2_conv",
    ),
    "mixed_3": "conv tower_conv tower_conv_1 tower_conv_2",
    **dict.fromkeys(
        ("mixed_4", "mixed_5", "mixed_6", "mixed_7"),
        "conv tower_conv tower_conv_1 tower_conv_2 tower_1_conv tower_1_conv_1 tower_1_conv_2 tower_1_conv_3 "
        "tower_1_conv_4 tower_2_conv",
    ),
    "mixed_8": "tower_conv tower_conv_1 tower_1_conv tower_1_conv_1 tower_1_conv_2 tower_1_conv_3",
    **dict.fromkeys(
        ("mixed_9", "mixed_10"),
        "conv tower_conv tower_mixed_conv tower_mixed_conv_1 tower_1_conv tower_1_conv_1 tower_1_mixed_conv "
        "tower_1_mixed_conv_1 tower_2_conv",
    ),
}


def layer_names() -> list[str]:
    """The file's 94 layer names in the order in which Keras creates the convolutions."""
    stem = ["conv", *(f"conv_{number}" for number in range(1, 5))]
    return stem + [f"{block}_{inner}" for block, names in _INNER.items() for inner in names.split()]


def check_folded_weights(file: Path) -> None:
    """Refuse what is not folded weights of InceptionV3: names, types, shapes and lengths of all arrays.

    Raises:
        ForeignFileError: An array holds objects (a pickle), has another name or shape, or claims more than is there; a
            bias or too many kernels are missing; or the file is damaged.
    """
    expected, found = _expected_shapes(), set()
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > len(expected):
                raise ForeignFileError("wrong_arrays", f"{file} holds {len(entries)} arrays, too many. {WEIGHTS}")
            for entry in entries:
                name = entry.filename.removesuffix(_SUFFIX)
                if name not in expected or name in found:
                    raise ForeignFileError("wrong_arrays", f"{file} has an array {name!r} that is unknown. {WEIGHTS}")
                found.add(name)
                with archive.open(entry) as opened:
                    _check_array(file, name, expected[name], cast(BinaryIO, opened), entry.file_size)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        raise ForeignFileError("not_weights", f"{file} is a damaged .npz file ({error}). {WEIGHTS}") from error
    lacking = [name for name in expected if name.endswith("/bias") and name not in found]
    if lacking:
        raise ForeignFileError("wrong_arrays", f"{file} has no {lacking[0]}. {WEIGHTS}")
    if len(expected) - len(found) > _MOST_RANDOM:
        text = f"{file} lacks {len(expected) - len(found)} kernels, expected {_MOST_RANDOM} at most. {WEIGHTS}"
        raise ForeignFileError("wrong_arrays", text)


def _check_array(file: Path, name: str, expected: tuple[int, ...], opened: BinaryIO, length: int) -> None:
    """The header of one array against the architecture, and against the length of its entry: NumPy reads no more."""
    version = npy.read_magic(opened)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has format {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(opened, max_header_size=_LARGEST_HEADER)
    if dtype.hasobject:
        raise ForeignFileError(
            "pickled", f"{file}: {name} holds objects, which are pickled: reading them runs a program. {WEIGHTS}"
        )
    if dtype.kind != "f" or shape != expected:
        got = f"{dtype} of shape {shape}, expected floating-point numbers of shape {expected}"
        raise ForeignFileError("wrong_arrays", f"{file}: {name} is {got}. {WEIGHTS}")
    claimed = math.prod(shape) * dtype.itemsize
    if opened.tell() + claimed != length:
        raise ForeignFileError("too_large", f"{file}: {name} claims {claimed} bytes, but {length} are there. {WEIGHTS}")


def _expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, kernel in zip(layer_names(), kernel_shapes(), strict=True):
        shapes |= {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}
    return shapes
