"""The photos a network learns from: a folder with one sub-folder per subject, each file one aligned face.

A file is square and framed like a gallery's crops: the alignment template's square with a margin of 1/16 of the edge
on each side (see `alignment.py`). Decoding is cheap, so nothing is cached; a batch is a pure function of its seed.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from twindex.embedder.recipe import HeldOutBy
from twindex.embedder.stage import Augmentation
from twindex.embedder.variation import framed, vary
from twindex.errors import UsageError
from twindex.pipeline import READERS, in_order
from twindex.types import Int64, UInt8

_LEAST_APART = 2
_LEAST_LEARNED = 2
_POSITIONS_SEED = 1
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, eq=False)
class TrainingFaces:
    """Paths of all photos and the number of the subject each shows, (n,) int64."""

    paths: tuple[Path, ...]
    subjects: Int64

    @classmethod
    def scan(cls, root: Path) -> "TrainingFaces":
        """List a folder, in name order.

        Raises:
            UsageError: There are not at least two subjects, one of them with two photos.
        """
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
        paths, subjects = [], []
        for number, folder in enumerate(folders):
            files = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in _SUFFIXES)
            paths += files
            subjects += [number] * len(files)
        labels = np.array(subjects, np.int64)
        if len(set(subjects)) < 2 or len(set(subjects)) == len(subjects):
            raise UsageError(
                f"Training needs one folder per subject, each with several photos; {root} has {len(paths)}."
            )
        return cls(tuple(paths), labels)

    @property
    def digest(self) -> str:
        """SHA-256, hex, over the photos' names, relative to the folder, and the subject each shows."""
        names = [f"{path.parent.name}/{path.name}" for path in self.paths]
        return hashlib.sha256(json.dumps([names, self.subjects.tolist()]).encode()).hexdigest()

    def split(self, held_out: float, by: HeldOutBy) -> tuple[Int64, Int64]:
        """Photos to learn from and photos to calibrate on, (n,) int64 each, with no subject in both.

        By name a subject is held out if the SHA-256 of its name is within the share of all digests: subjects who are
        added or removed change nothing for the others, and a smaller share holds out some of the same. By position it
        is a fixed permutation of the sorted names that decides.

        Calibrating takes both kinds of pairs: at least two subjects are held out whatever the share, and one more
        where none of them has two photos.

        Args:
            held_out: Share of the subjects to hold out.
            by: What decides.

        Raises:
            UsageError: There are too few subjects for that, with two left to learn from.
        """
        known, first, photos = np.unique(self.subjects, return_index=True, return_counts=True)
        if by == "name":
            places = np.array([_place(self.paths[photo]) for photo in first])
            ranked = known[np.argsort(places)].tolist()
            count = int(np.sum(places < held_out))
        else:
            ranked = np.random.default_rng(_POSITIONS_SEED).permutation(known).tolist()
            count = round(held_out * len(known))
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
        apart = np.isin(self.subjects, list(chosen))
        return np.flatnonzero(~apart), np.flatnonzero(apart)

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

    def clean(self, photos: Int64, size: int) -> UInt8:
        """The template's square of each photo, unvaried, (n, size, size, 3) uint8 RGB."""
        return np.stack([framed(_read(self.paths[photo]), size) for photo in photos])

    def varied(self, photos: Int64, size: int, augmentation: Augmentation, seed: tuple[int, ...]) -> UInt8:
        """The same, each varied at random as `augmentation` says."""
        random = np.random.default_rng(seed)
        return np.stack([vary(_read(self.paths[photo]), size, augmentation, random) for photo in photos])


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
