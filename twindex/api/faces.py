"""Questions about photos that need no gallery."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twindex.embedder.embedder import Embedder
    from twindex.embedder.faces.reader import FaceReader
    from twindex.embedder.photos.source import PhotoSource
    from twindex.gallery.verification import Verification
    from twindex.types import Box, Float32


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A usable face that was found in a photo.

    Attributes:
        box: Where it is in the upright photo, pixels.
        landmarks: (5, 2) float32, pixels: eye on the left of the image, eye on the right, nose, left and right mouth
            corner.
        confidence: The detector's, from 0 to 1.
        quality: Sharpness of the aligned crop: variance of its Laplacian, grey levels squared.
    """

    box: Box
    landmarks: Float32
    confidence: float
    quality: float


def verify(
    first: PhotoSource,
    second: PhotoSource,
    *,
    model: str | os.PathLike[str] | None = None,
    pre_cropped: bool = False,
) -> Verification:
    """Whether the most prominent faces of two photos show the same person.

    Args:
        first, second: A path, bytes, or pixels (height, width, 3) uint8 RGB each.
        model: Name, fingerprint or folder; by default the shipped model.
        pre_cropped: Each photo is one aligned face; nothing is searched for.

    Raises:
        PhotoError: A photo has no usable face; the message names the photo.

    Example:
        >>> pair = twindex.verify("passport.jpg", "selfie.jpg")
        >>> pair.match, round(pair.distance, 1)
        (True, 0.8)
    """
    from twindex.gallery.verification import compare

    return compare(_embedder(_named(model)), _reader(), first, second, pre_cropped=pre_cropped)


def embed(
    photos: PhotoSource | Sequence[PhotoSource],
    *,
    model: str | os.PathLike[str] | None = None,
    pre_cropped: bool = False,
) -> Float32:
    """Templates of the most prominent face of each photo.

    Args:
        photos: One photo or several: paths, bytes, or pixels (height, width, 3) uint8 RGB.
        model: Name, fingerprint or folder; by default the shipped model.
        pre_cropped: Each photo is one aligned face; nothing is searched for.

    Returns:
        (n, dim) float32, unit length; their Euclidean distances are those that a gallery compares.

    Raises:
        PhotoError: A photo has no usable face; the message names the photo.

    Example:
        >>> first, second = twindex.embed(["passport.jpg", "selfie.jpg"])
        >>> round(float(np.linalg.norm(first - second)), 1)
        0.8
    """
    return embedded(_embedder(_named(model)), _reader(), photos, pre_cropped)


def detect(photo: PhotoSource) -> list[DetectedFace]:
    """The usable faces of a photo, most prominent first; an empty list where there are none.

    Args:
        photo: A path, bytes, or pixels (height, width, 3) uint8 RGB.

    Raises:
        PhotoError: The photo cannot be read.

    Example:
        >>> len(twindex.detect("party.jpg"))
        4
    """
    from twindex.embedder.photos.source import photo_bytes, source_name
    from twindex.errors import PhotoError

    try:
        samples = _reader().samples(photo_bytes(photo), source_name(photo), all_faces=True)
    except PhotoError as error:
        if error.code in ("no_face", "too_small", "blurred"):
            return []
        raise
    return [
        DetectedFace(sample.face.box, sample.face.landmarks, sample.face.confidence, sample.quality)
        for sample in samples
        if sample.face is not None
    ]


def embedded(
    embedder: Embedder, reader: FaceReader, photos: PhotoSource | Sequence[PhotoSource], pre_cropped: bool
) -> Float32:
    """Templates by one embedder; see `embed`."""
    import numpy as np

    from twindex.gallery.verification import most_prominent

    several: Sequence[Any] = photos if isinstance(photos, list | tuple) else [photos]
    if not several:
        return np.empty((0, embedder.dim), np.float32)
    return embedder.embed_samples([most_prominent(reader, photo, pre_cropped=pre_cropped) for photo in several])


@cache
def _reader() -> FaceReader:
    """One for the whole process: its detector takes a while to load."""
    from twindex.embedder.faces.reader import FaceReader

    return FaceReader()


def _named(model: str | os.PathLike[str] | None) -> str:
    return "default" if model is None else os.fspath(model)


@cache
def _embedder(model: str) -> Embedder:
    from twindex.embedder.embedder import Embedder
    from twindex.embedder.model.registry import find_model
    from twindex.files.user_folders import cache_dir

    return Embedder(find_model(model), cache=cache_dir())
