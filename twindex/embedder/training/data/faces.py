"""The photos a network learns from: folders with one sub-folder per subject, each file one aligned face.

A folder without sub-folders holds photos of people unknown, each taken for another person. A file is square and framed
like a gallery's crops: the alignment template's square with a margin of 1/16 of the edge
on each side (see `alignment.py`). Decoding is cheap, so nothing is cached; a batch is a pure function of its seed.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from twindex.embedder.training.data.variation import framed, vary
from twindex.embedder.training.recipe.recipe import HeldOutBy
from twindex.embedder.training.recipe.stage import Augmentation
from twindex.errors import UsageError
from twindex.running.pipeline import READERS, in_order
from twindex.types import Int64, UInt8

_LEAST_APART = 2
_LEAST_LEARNED = 2
_POSITIONS_SEED = 1
EDGE = 128  # of photos that are held in memory whole
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True)
class FaceFolder:
    """One of the folders that photos come from.

    Attributes:
        name: The folder's, by which a recipe knows it.
        photos: Their numbers.
        labelled: Whether some subject has several photos, so that its photos can make pairs.
        named: Whether subjects have names; where they have none, nobody can be held out.
    """

    name: str
    photos: range
    labelled: bool = True
    named: bool = True


@dataclass(frozen=True, eq=False)
class TrainingFaces:
    """All photos that a network learns from.

    Attributes:
        paths: Of the photos.
        subjects: (n,) int64, the number of the subject each shows.
        folders: Where they come from, in the photos' order; one folder with labels where nothing is given.
    """

    paths: tuple[Path, ...]
    subjects: Int64
    folders: tuple[FaceFolder, ...] = ()

    def __post_init__(self) -> None:
        if not self.folders:
            object.__setattr__(self, "folders", (FaceFolder("", range(len(self.paths))),))

    @classmethod
    def scan(cls, *roots: Path) -> "TrainingFaces":
        """List folders, each in name order.

        Raises:
            UsageError: No folder has two subjects, one of them with two photos; a folder is empty; or two have one
                name.
        """
        paths: list[Path] = []
        subjects: list[int] = []
        folders = []
        for root in roots:
            groups, named = _groups(root)
            first, people = len(paths), len(set(subjects))
            for number, files in enumerate(groups, people):
                paths += files
                subjects += [number] * len(files)
            labelled = len(groups) > 1 and any(len(files) > 1 for files in groups)
            folders.append(FaceFolder(root.resolve().name, range(first, len(paths)), labelled, named))
        _refuse_folders(folders)
        return cls(tuple(paths), np.array(subjects, np.int64), tuple(folders))

    @property
    def digest(self) -> str:
        """SHA-256, hex, over the photos' names, relative to their folder, the subject each shows, and the folders."""
        names = [f"{path.parent.name}/{path.name}" for path in self.paths]
        values: list[Any] = [names, self.subjects.tolist()]
        if len(self.folders) > 1:
            values.append([[folder.name, len(folder.photos)] for folder in self.folders])
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    def labelled(self, photos: Int64) -> Int64:
        """Those of the photos whose folders have several photos of some subject, (n,) int64: they can make pairs."""
        kept = [photo for folder in self.folders if folder.labelled for photo in folder.photos]
        return photos[np.isin(photos, kept)]

    def split(self, held_out: float, by: HeldOutBy) -> tuple[Int64, Int64]:
        """Photos to learn from and photos to calibrate on, (n,) int64 each, with no subject in both.

        By name a subject is held out if the SHA-256 of its name is within the share of all digests: subjects who are
        added or removed change nothing for the others, and a smaller share holds out some of the same. By position it
        is a fixed permutation of the sorted names that decides.

        Calibrating takes both kinds of pairs: of a folder with labels at least two subjects are held out whatever the
        share, and one more where none of them has two photos. Each folder is split by itself.

        Args:
            held_out: Share of the subjects to hold out.
            by: What decides.

        Raises:
            UsageError: There are too few subjects for that, with two left to learn from.
        """
        apart = np.zeros(len(self.paths), bool)
        for folder in self.folders:
            if folder.named:
                apart[folder.photos] = self._apart(folder, held_out, by)
        return np.flatnonzero(~apart), np.flatnonzero(apart)

    def _apart(self, folder: FaceFolder, held_out: float, by: HeldOutBy) -> NDArray[np.bool_]:
        """Which of a folder's photos are held out."""
        subjects = self.subjects[folder.photos]
        known, first, photos = np.unique(subjects, return_index=True, return_counts=True)
        if by == "name":
            places = np.array([_place(self.paths[folder.photos[photo]]) for photo in first])
            ranked = known[np.argsort(places)].tolist()
            count = int(np.sum(places < held_out))
        else:
            ranked = np.random.default_rng(_POSITIONS_SEED).permutation(known).tolist()
            count = round(held_out * len(known))
        if not folder.labelled:
            return np.isin(subjects, ranked[:count])
        chosen = set(ranked[: max(_LEAST_APART, count)])
        several = set(known[photos > 1].tolist())
        if several and chosen.isdisjoint(several):
            chosen.add(next(subject for subject in ranked if subject in several))
        if not several or len(known) - len(chosen) < _LEAST_LEARNED:
            raise UsageError(
                f"Training needs two subjects to learn from and two others, one of them with two photos, to calibrate "
                f"on; got {len(known)} subjects and a held-out share of {held_out:g}: give more subjects, or another "
                "--held-out (held_out in a recipe)."
            )
        return np.isin(subjects, list(chosen))

    def refuse_unreadable(self) -> None:
        """Read every photo once.

        Raises:
            UsageError: There are some that cannot be learned from.
        """
        with ThreadPoolExecutor(READERS) as readers:
            faults = [fault for fault in in_order(self.paths, _fault, readers, ahead=4 * READERS) if fault is not None]
        if faults:
            raise UsageError(
                f"{len(faults)} of {len(self.paths)} photos cannot be learned from; replace or remove them. "
                f"The first: {faults[0]}"
            )

    def photo(self, number: int) -> UInt8:
        """One whole photo, with the margin around the template's square, (128, 128, 3) uint8 RGB."""
        face = _read(self.paths[number])
        return np.asarray(face if face.width == EDGE else face.resize((EDGE, EDGE), Image.Resampling.BOX))

    def clean(self, photos: Int64, size: int) -> UInt8:
        """The template's square of each photo, unvaried, (n, size, size, 3) uint8 RGB."""
        return np.stack([framed(_read(self.paths[photo]), size) for photo in photos])

    def varied(self, photos: Int64, size: int, augmentation: Augmentation, seed: tuple[int, ...]) -> UInt8:
        """The same, each varied at random as `augmentation` says."""
        random = np.random.default_rng(seed)
        return np.stack([vary(_read(self.paths[photo]), size, augmentation, random) for photo in photos])


def _groups(root: Path) -> tuple[list[list[Path]], bool]:
    """The photos below a folder by subject, and whether subjects have names: its sub-folders', if it has any."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    subjects = [entry for entry in entries if entry.is_dir()]
    if not subjects:
        return [[photo] for photo in entries if photo.suffix.lower() in _SUFFIXES], False
    groups = [sorted(photo for photo in subject.iterdir() if photo.suffix.lower() in _SUFFIXES) for subject in subjects]
    return [group for group in groups if group], True


def _refuse_folders(folders: list[FaceFolder]) -> None:
    """Raise UsageError where the folders cannot be learned from."""
    if not any(folder.labelled for folder in folders):
        counts = ", ".join(f"{folder.name} has {len(folder.photos)}" for folder in folders)
        raise UsageError(f"Training needs one folder per subject, each with several photos; {counts}.")
    empty = [folder.name for folder in folders if not folder.photos]
    if empty:
        raise UsageError(f"{empty[0]} has no photos to learn from: give a folder of aligned faces, or leave it out.")
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        raise UsageError(f"Folders of faces need different names, by which recipes know them; got {', '.join(names)}.")


def _place(photo: Path) -> float:
    """Where a photo's subject is among all digests of names, from 0 to 1."""
    return int.from_bytes(hashlib.sha256(os.fsencode(photo.parent.name)).digest()[:8]) / 2**64


def _fault(path: Path) -> UsageError | None:
    try:
        _read(path)
    except UsageError as error:
        return error
    return None


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            face = image.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise UsageError(f"Cannot read the training photo {path}: {error}.") from error
    if face.width != face.height:
        raise UsageError(f"Expected aligned, square faces; {path} is {face.width}x{face.height}. Use --align.")
    return face
