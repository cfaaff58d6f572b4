"""The roles of files in a gallery's folder: database, journal, index, or not the gallery's own."""

from pathlib import Path
from typing import Literal

from twindex.config import DATABASE, SNAPSHOTS

Place = Literal["journal", "database", "index", "other", "unreadable"]
# "-mj" starts the name of SQLite's super-journal for commits to several files; it holds only their names.
_JOURNALS = tuple(DATABASE + suffix for suffix in ("-wal", "-journal", "-shm", "-mj"))


def place_of(folder: Path, path: Path) -> Place:
    """The role of a file below a gallery's folder."""
    name = path.relative_to(folder).as_posix()
    if name == DATABASE:
        return "database"
    if name.startswith(_JOURNALS):
        return "journal"
    return "index" if name.startswith(f"{SNAPSHOTS}/") else "other"


def foreign_files(folder: Path) -> list[Path]:
    """Files below a gallery's folder that are not the gallery's; no erasure and no key reaches them."""
    return foreign_among(folder, files_below(folder))


def foreign_among(folder: Path, files: list[Path]) -> list[Path]:
    """Those of some files below the folder that are not the gallery's."""
    return [path for path in files if place_of(folder, path) == "other"]


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def may_be_foreign(found: set[str] | None) -> bool:
    """Whether a file that is not the gallery's may hold what was erased.

    Args:
        found: Where the search after the erasure found something; None if the erasure was cut short before a search.
    """
    return found is None or not found.isdisjoint({"other", "unreadable"})
