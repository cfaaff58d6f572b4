"""Lists of pairs in the format of Labeled Faces in the Wild (`pairs.txt`, `pairsDevTest.txt`).

First line: the number of folds and of pairs of each kind in a fold, tab-separated; one number means one fold. Then,
fold by fold, the mated pairs `name<TAB>number<TAB>number` and the non-mated pairs
`name<TAB>number<TAB>name<TAB>number`. The photo of a name and a number is `name/name_NNNN` with any image suffix.
"""

from dataclasses import dataclass
from pathlib import Path

from twindex.embedder.photo_file import is_photo
from twindex.errors import UsageError


@dataclass(frozen=True)
class Pair:
    """Two photos, whether they show one person, and the fold the pair is in, from 0."""

    first: Path
    second: Path
    mated: bool
    fold: int


def read_pairs(file: Path, images: Path) -> list[Pair]:
    """Read a list of pairs and find its photos.

    Args:
        file: The list.
        images: Folder with one sub-folder a person.

    Raises:
        UsageError: The list is not of that format, or a photo is missing.
    """
    try:
        lines = [line.rstrip("\n") for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read the pairs {file}: {error}.") from error
    folds, each = _header(file, lines)
    if len(lines) - 1 != 2 * folds * each:
        raise UsageError(f"{file}: expected {2 * folds * each} pairs by its first line, got {len(lines) - 1}.")
    photos = _Photos(images)
    return [
        Pair(*_photos_of(file, number, line, photos), mated=_is_mated(line), fold=(number - 2) // (2 * each))
        for number, line in enumerate(lines[1:], 2)
    ]


class _Photos:
    """Finds the photo of a name and a number; a folder is listed once."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._listed: dict[str, dict[str, Path]] = {}

    def find(self, name: str, number: str) -> Path:
        folder = self._images / name
        if name not in self._listed:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listed[name] = {file.stem: file for file in files if is_photo(file.name)}
        stem = f"{name}_{int(number):04d}"
        if stem not in self._listed[name]:
            raise UsageError(f"There is no photo {stem} in {folder}; the list of pairs names it.")
        return self._listed[name][stem]


def _header(file: Path, lines: list[str]) -> tuple[int, int]:
    numbers = lines[0].split() if lines else []
    if len(numbers) not in (1, 2) or not all(number.isdigit() for number in numbers):
        raise UsageError(f"{file} is no list of pairs: its first line has to give the number of folds and of pairs.")
    folds, each = (1, int(numbers[0])) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))
    if folds < 1 or each < 1:
        raise UsageError(f"{file}: expected at least one fold and one pair of each kind.")
    return folds, each


def _is_mated(line: str) -> bool:
    return len(line.split("\t")) == 3


def _photos_of(file: Path, number: int, line: str, photos: _Photos) -> tuple[Path, Path]:
    parts = line.split("\t")
    numbers = parts[1::2] if len(parts) == 4 else parts[1:]
    unsafe = [part for part in parts if part in ("", ".", "..") or "/" in part or "\\" in part]
    if len(parts) not in (3, 4) or unsafe or not all(part.isdigit() for part in numbers):
        raise UsageError(f"{file}, line {number}: expected 'name, number, number' or 'name, number, name, number'.")
    return photos.find(parts[0], parts[1]), photos.find(parts[0] if len(parts) == 3 else parts[2], parts[-1])
