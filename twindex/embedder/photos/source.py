"""Where a photo may come from: a path, the bytes of a file, or an array of pixels."""

import os
from pathlib import Path

import numpy as np

from twindex.embedder.photos.files import read_photo
from twindex.errors import UsageError
from twindex.types import UInt8

PhotoSource = str | os.PathLike[str] | bytes | bytearray | memoryview | UInt8
IN_MEMORY = "(photo in memory)"


def source_name(photo: PhotoSource) -> str:
    """Where a photo comes from, for people: its path as given, or that it was in memory."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else IN_MEMORY


def photo_bytes(photo: PhotoSource) -> bytes:
    """The bytes of a photo file.

    Args:
        photo: A path; the bytes of a photo file; or pixels, (height, width, 3) uint8 RGB. Pixels become a PNM file
            (binary PPM, Netpbm), the same one for the same pixels, so that a photo enrolled twice is known again.

    Raises:
        PhotoError: The file cannot be read.
        UsageError: It is none of these.
    """
    if isinstance(photo, str | os.PathLike):
        return read_photo(Path(photo))
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if not isinstance(photo, np.ndarray):
        raise UsageError(f"Expected a photo as a path, bytes or an array; got {type(photo).__name__}.")
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise UsageError(
            f"Expected pixels as an array (height, width, 3) of uint8, RGB; got {photo.shape} of {photo.dtype}."
        )
    height, width, _ = photo.shape
    return f"P6 {width} {height} 255\n".encode() + photo.tobytes()
