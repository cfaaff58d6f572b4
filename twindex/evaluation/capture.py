"""Templates of many photos, decoded and embedded side by side; what fails is kept with its reason."""

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
        failures: (photo, error code) of the others: failures to enrol.
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
        paths: Which.
        reader: Finds and aligns faces.
        embedder: The model.
        listener: Told how many photos are done, a batch at a time.
        pre_cropped: Whether each photo is one aligned face already.
    """
    templates = np.zeros((len(paths), embedder.dim), np.float32)
    usable = np.zeros(len(paths), bool)
    failures: list[tuple[Path, str]] = []

    def read(numbered: tuple[int, Path]) -> tuple[int, Sample | PhotoError]:
        number, path = numbered
        return number, capture_one(path, reader, pre_cropped=pre_cropped)

    def embed(batch: list[tuple[int, Sample | PhotoError]]) -> int:
        good = [(number, one) for number, one in batch if isinstance(one, Sample)]
        failures.extend((paths[number], one.code) for number, one in batch if isinstance(one, PhotoError))
        if good:
            numbers = [number for number, _ in good]
            templates[numbers] = embedder.embed_samples([sample for _, sample in good])
            usable[numbers] = True
        return len(batch)

    run_pipeline(enumerate(paths), read, embed, listener, readers=READERS, batch=_BATCH)
    return Captured(tuple(paths), templates, usable, tuple(failures))


def capture_one(path: Path, reader: FaceReader, *, pre_cropped: bool = False) -> Sample | PhotoError:
    """The most prominent face of a photo, or why there is none."""
    try:
        return reader.samples(read_photo(path), str(path), pre_cropped=pre_cropped)[0]
    except PhotoError as error:
        return error
