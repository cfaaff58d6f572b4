"""Which files of a gallery's folder are what: its database and journals, its indexes, and what is not its own."""

from pathlib import Path
from typing import Literal

from twindex.config import DATABASE, SNAPSHOTS

Place = Literal["journal", "database", "index", "other", "unreadable"]
# The last is SQLite's for a commit to several files: it holds their names alone.
_JOURNALS = tuple(DATABASE + suffix for suffix in ("-wal", "-journal", "-shm", "-mj"))


def place_of(folder: Path, path: Path) -> Place:
    """What a file below a gallery's folder is."""
    name = path.relative_to(folder).as_posix()
    if name == DATABASE:
        return "database"
    if name.startswith(_JOURNALS):
        return "journal"
    return "index" if name.startswith(f"{SNAPSHOTS}/") else "other"


def foreign_files(folder: Path) -> list[Path]:
    """What lies below a gallery's folder without being a part of the gallery: no erasure and no key reaches it."""
    return foreign_among(folder, files_below(folder))


def foreign_among(folder: Path, files: list[Path]) -> list[Path]:
    """The same, of files that were listed already."""
    return [path for path in files if place_of(folder, path) == "other"]


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def may_be_foreign(found: set[str] | None) -> bool:
    """Whether what was erased may be in a file that is not the gallery's.

    Args:
        found: Where the search after the erasure found something; None where there was none, because it was cut short.
    """
    return found is None or not found.isdisjoint({"other", "unreadable"})
