"""Templates of many photos, read and embedded in parallel; a photo that fails is kept with its reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import read_photo
from twindex.errors import PhotoError
from twindex.running.pipeline import READERS, run_pipeline
from twindex.types import Float32, Sample

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Captured:
    """The most prominent face of each photo, as a template.

    Attributes:
        paths: n photos.
        templates: (n, dim) float32, unit length; zeros for photos without a usable face.
        usable: (n,) bool.
        failures: (photo, error code) of the others.
    """

    paths: tuple[Path, ...]
    templates: Float32
    usable: NDArray[np.bool_]
    failures: tuple[tuple[Path, str], ...]


def capture(
    paths: Sequence[Path],
    reader: FaceReader,
    embedder: Embedder,
    listener: Callable[[int], None],
    *,
    pre_cropped: bool = False,
) -> Captured:
    """Read, detect, align and embed photos.

    Args:
        paths: The photos.
        reader: Finds and aligns faces.
        embedder: The model.
        listener: Called after each batch with the number of its photos.
        pre_cropped: Whether each photo is already one aligned face.
    """
    templates = np.zeros((len(paths), embedder.dim), np.float32)
    usable = np.zeros(len(paths), bool)
    failures: list[tuple[Path, str]] = []

    def read(numbered: tuple[int, Path]) -> tuple[int, Sample | PhotoError]:
        number, path = numbered
        return number, capture_one(path, reader, pre_cropped=pre_cropped)

    def embed(batch: list[tuple[int, Sample | PhotoError]]) -> int:
        samples = [(number, result) for number, result in batch if isinstance(result, Sample)]
        failures.extend((paths[number], result.code) for number, result in batch if isinstance(result, PhotoError))
        if samples:
            numbers = [number for number, _ in samples]
            templates[numbers] = embedder.embed_samples([sample for _, sample in samples])
            usable[numbers] = True
        return len(batch)

    run_pipeline(enumerate(paths), read, embed, listener, readers=READERS, batch=_BATCH)
    return Captured(tuple(paths), templates, usable, tuple(failures))


def capture_one(path: Path, reader: FaceReader, *, pre_cropped: bool = False) -> Sample | PhotoError:
    """The most prominent face of a photo, or the error that prevents it."""
    try:
        return reader.samples(read_photo(path), str(path), pre_cropped=pre_cropped)[0]
    except PhotoError as error:
        return error
