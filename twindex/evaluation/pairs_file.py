"""Lists of pairs in the format of Labeled Faces in the Wild (`pairs.txt`, `pairsDevTest.txt`).

The first line gives the number of folds and the number of pairs of each kind in a fold, tab-separated; a single number
means one fold. Then follow, fold by fold, the mated pairs `name<TAB>number<TAB>number` and the non-mated pairs
`name<TAB>number<TAB>name<TAB>number`. The photo of a name and a number is `name/name_NNNN` with any image suffix.
"""

from dataclasses import dataclass
from pathlib import Path

from twindex.embedder.photos.files import is_photo
from twindex.errors import UsageError

_MOST_DIGITS = 9


@dataclass(frozen=True)
class Pair:
    """Two photos, whether they show the same person, and the number of the pair's fold, from 0."""

    first: Path
    second: Path
    mated: bool
    fold: int


def read_pairs(file: Path, images: Path) -> list[Pair]:
    """Read a list of pairs and find its photos.

    Args:
        file: The list.
        images: Folder with one sub-folder per person.

    Returns:
        The pairs, in the order of the list.

    Raises:
        UsageError: The list has another format, or a photo is missing.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read the pairs {file}: {error}.") from error
    lines = [(number, line.split("\t")) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    folds, each = _header(file, lines[0][1] if lines else [])
    if len(lines) - 1 != 2 * folds * each:
        raise UsageError(f"{file}: expected {2 * folds * each} pairs by its first line, got {len(lines) - 1}.")
    photos, pairs = _Photos(images), []
    for place, (number, parts) in enumerate(lines[1:]):
        mated = place % (2 * each) < each
        if len(parts) != (3 if mated else 4):
            kind = "mated pair: name, number, number" if mated else "non-mated pair: name, number, name, number"
            raise UsageError(f"{file}, line {number}: expected a {kind}, tab-separated.")
        pairs.append(Pair(*_photos_of(file, number, parts, photos), mated=mated, fold=place // (2 * each)))
    return pairs


class _Photos:
    """Finds the photo of a name and a number; lists each folder once."""

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


def _header(file: Path, parts: list[str]) -> tuple[int, int]:
    if len(parts) not in (1, 2) or not all(map(_is_number, parts)):
        raise UsageError(f"{file} is not a list of pairs: its first line must give the number of folds and of pairs.")
    folds, each = (1, int(parts[0])) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
    if folds < 1 or each < 1:
        raise UsageError(f"{file}: expected at least one fold and one pair of each kind.")
    return folds, each


def _photos_of(file: Path, number: int, parts: list[str], photos: _Photos) -> tuple[Path, Path]:
    numbers = parts[1::2] if len(parts) == 4 else parts[1:]
    unsafe = [part for part in parts if part in ("", ".", "..") or "/" in part or "\\" in part]
    if unsafe or not all(map(_is_number, numbers)):
        raise UsageError(f"{file}, line {number}: expected a name and the numbers of its photos.")
    return photos.find(parts[0], parts[1]), photos.find(parts[0] if len(parts) == 3 else parts[2], parts[-1])


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS
