"""The photos of an open-set test, and their templates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import photos_below
from twindex.errors import UsageError
from twindex.evaluation.capture import Captured, capture
from twindex.evaluation.metrics.identification import STRANGER
from twindex.types import Float32, Int64


@dataclass(frozen=True)
class OpenSet:
    """The photos of an open-set test; each list holds (person, photo).

    Attributes:
        enrolled: What the gallery is made of.
        probes: Photos of enrolled people.
        strangers: Photos of others.

    Raises:
        UsageError: A probe shows nobody of `enrolled`, or a stranger's name is enrolled.
    """

    enrolled: tuple[tuple[str, Path], ...]
    probes: tuple[tuple[str, Path], ...]
    strangers: tuple[tuple[str, Path], ...]

    def __post_init__(self) -> None:
        names = set(self.names)
        unknown = sorted({name for name, _ in self.probes} - names)
        if unknown:
            raise UsageError(f"Probes show people who are not enrolled, such as {unknown[0]!r}: they are strangers.")
        known = sorted({name for name, _ in self.strangers} & names)
        if known:
            raise UsageError(f"Strangers must not be enrolled, but {known[0]!r} is.")

    @property
    def photos(self) -> int:
        return len(self.enrolled) + len(self.probes) + len(self.strangers)

    @property
    def names(self) -> list[str]:
        """The enrolled people, sorted; a person's position here is the person's column in the results."""
        return sorted({name for name, _ in self.enrolled})

    @property
    def asked(self) -> tuple[tuple[str, Path], ...]:
        """Everything that is searched: the probes, then the strangers."""
        return self.probes + self.strangers

    @property
    def owners(self) -> Int64:
        """(enrolled,) int64, the column of each enrolled photo's person."""
        columns = {name: column for column, name in enumerate(self.names)}
        return np.array([columns[name] for name, _ in self.enrolled], np.int64)

    @property
    def truth(self) -> Int64:
        """(asked,) int64, the column of the person each photo shows; `STRANGER` for strangers."""
        columns = {name: column for column, name in enumerate(self.names)}
        return np.array([columns[name] for name, _ in self.probes] + [STRANGER] * len(self.strangers), np.int64)


@dataclass(frozen=True, eq=False)
class CapturedOpenSet:
    """An open set with its templates.

    Attributes:
        photos: The photos.
        enrolled, probes, strangers: Their templates.
    """

    photos: OpenSet
    enrolled: Captured
    probes: Captured
    strangers: Captured

    @property
    def templates(self) -> Float32:
        """(asked, dim) float32, unit length; zeros for photos without a usable face."""
        return np.concatenate([self.probes.templates, self.strangers.templates])

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(asked,) bool."""
        return np.concatenate([self.probes.usable, self.strangers.usable])

    @property
    def failures(self) -> tuple[tuple[Path, str], ...]:
        """(photo, error code) of every photo without a usable face."""
        return self.enrolled.failures + self.probes.failures + self.strangers.failures

    def shown(self) -> dict[str, Path]:
        """The first usable enrolled photo of each person."""
        shown: dict[str, Path] = {}
        for (name, path), usable in zip(self.photos.enrolled, self.enrolled.usable, strict=True):
            if usable:
                shown.setdefault(name, path)
        return shown


def capture_open_set(
    photos: OpenSet,
    reader: FaceReader,
    embedder: Embedder,
    listener: Callable[[int], None],
    *,
    pre_cropped: bool = False,
) -> CapturedOpenSet:
    """Embed every photo; arguments as for `capture`."""
    enrolled, probes, strangers = (
        capture([path for _, path in listed], reader, embedder, listener, pre_cropped=pre_cropped)
        for listed in (photos.enrolled, photos.probes, photos.strangers)
    )
    return CapturedOpenSet(photos, enrolled, probes, strangers)


def subject_photos(folder: Path) -> list[tuple[str, Path]]:
    """(person, photo) for a folder with one sub-folder per person; a loose photo shows the person it is named after.

    Raises:
        UsageError: There is no photo, or the folder cannot be listed.
    """
    photos = photos_below(folder)
    if not photos:
        raise UsageError(f"There are no photos in {folder}.")
    if photos == [folder]:
        raise UsageError(f"The folder {folder} cannot be listed.")
    return [(_person(photo, folder), photo) for photo in photos]


def _person(photo: Path, folder: Path) -> str:
    first = photo.relative_to(folder).parts[0]
    return first if photo.parent != folder else photo.stem
