"""Keras' `.weights.h5` of InceptionV3, looked through before Keras reads it. The only file that knows h5py.

HDF5 can keep arrays in other files, link to other files, and claim arrays of any size in a few kilobytes. Here every
link, name, shape, type and stored size is compared with the architecture; no array is read.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from twindex.embedder.model.foreign_file import WEIGHTS
from twindex.embedder.model.inception import kernel_shapes
from twindex.errors import ForeignFileError

_MOST_OBJECTS = 4_000  # Keras writes about 1,000
_DEEPEST = 4
_MOST_ATTRIBUTES = 8
_LARGEST_ATTRIBUTE = 4096
_FLOATS = ("float16", "float32", "float64")
_NORM_ARRAYS = 3  # shift, mean and variance: Keras' InceptionV3 has no scale


def check_hdf5_weights(file: Path) -> None:
    """Refuse what is not the weights of Keras' InceptionV3 without its top, or would be read from elsewhere.

    Raises:
        ForeignFileError: A link or an array leads to another file; a name, shape or type is not the architecture's; an
            array claims more than the file holds; or the file is damaged.
    """
    try:
        with h5py.File(file, "r") as opened:
            shapes = {name: tuple(array.shape) for name, array in _arrays(file, opened)}
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise ForeignFileError("not_weights", f"{file} is a damaged HDF5 file ({error}). {WEIGHTS}") from error
    _check_shapes(file, shapes)


def _arrays(file: Path, root: Any) -> Iterator[tuple[str, Any]]:
    """Every array with its path, after checking how it is stored; links are looked at before they are followed."""
    left, seen = [("", root, 0)], 0
    while left:
        path, group, depth = left.pop()
        _check_attributes(file, path, group)
        for name in group:
            seen += 1
            place = f"{path}/{name}".lstrip("/")
            if seen > _MOST_OBJECTS or depth > _DEEPEST:
                raise ForeignFileError(
                    "wrong_arrays", f"{file} holds more or deeper groups than InceptionV3. {WEIGHTS}"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ForeignFileError("outside_data", f"{file}: {place!r} is a link to elsewhere. {WEIGHTS}")
            found = group[name]
            if isinstance(found, h5py.Group):
                left.append((place, found, depth + 1))
            elif isinstance(found, h5py.Dataset):
                _check_attributes(file, place, found)
                _check_storage(file, place, found)
                yield place, found
            else:
                raise ForeignFileError("wrong_arrays", f"{file}: {place!r} is no array. {WEIGHTS}")


def _check_storage(file: Path, place: str, array: Any) -> None:
    """Whether an array's numbers are in this file, all of them."""
    if array.external or array.is_virtual:
        raise ForeignFileError("outside_data", f"{file}: {place!r} would be read from another file. {WEIGHTS}")
    if array.dtype.name not in _FLOATS or array.ndim == 0:
        raise ForeignFileError("wrong_arrays", f"{file}: {place!r} holds {array.dtype}, expected numbers. {WEIGHTS}")
    if array.chunks is not None or array.compression is not None:
        raise ForeignFileError("wrong_arrays", f"{file}: {place!r} is compressed or in pieces. {WEIGHTS}")
    claimed, stored = array.size * array.dtype.itemsize, array.id.get_storage_size()
    if claimed != stored or stored > file.stat().st_size:
        text = f"{file}: {place!r} claims {claimed} bytes, but the file holds {stored} of it. {WEIGHTS}"
        raise ForeignFileError("too_large", text)


def _check_attributes(file: Path, place: str, found: Any) -> None:
    names = list(found.attrs)
    sizes = [found.attrs.get_id(name).get_storage_size() for name in names[: _MOST_ATTRIBUTES + 1]]
    if len(names) > _MOST_ATTRIBUTES or any(size > _LARGEST_ATTRIBUTE for size in sizes):
        raise ForeignFileError(
            "too_large", f"{file}: {place!r} has more or larger attributes than Keras writes. {WEIGHTS}"
        )


def _check_shapes(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Names exactly; shapes as a collection: Keras numbers the layers in an order of its own, and checks each again."""
    expected = dict(_expected_shapes())
    if wrong := sorted(shapes.keys() ^ expected.keys()):
        text = f"{file} has {len(wrong)} missing or unknown arrays, such as {wrong[0]!r}. {WEIGHTS}"
        raise ForeignFileError("wrong_arrays", text)
    if surplus := sorted((Counter(shapes.values()) - Counter(expected.values())).elements()):
        text = f"{file} has {len(surplus)} arrays of shapes that InceptionV3 has not, such as {surplus[0]}. {WEIGHTS}"
        raise ForeignFileError("wrong_arrays", text)


def _expected_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    for number, kernel in enumerate(kernel_shapes()):
        suffix = f"_{number}" if number else ""
        yield f"layers/conv2d{suffix}/vars/0", kernel
        for place in range(_NORM_ARRAYS):
            yield f"layers/batch_normalization{suffix}/vars/{place}", kernel[-1:]
