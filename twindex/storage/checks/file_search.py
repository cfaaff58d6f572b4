"""Whether any file below a folder still holds an erased value."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, select

from twindex.storage.checks.byte_search import WINDOW, ErasedBytes, Run, only_erased
from twindex.storage.schema.tables import SAMPLES, TEMPLATES
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.pages import pages

_PAGES: tuple[tuple[Select[int, bytes | None], int], ...] = (
    (select(SAMPLES.c.id, SAMPLES.c.crop), 200),
    (select(TEMPLATES.c.id, TEMPLATES.c.vector), 5_000),
)


@dataclass(frozen=True)
class FileSearch:
    """The result of a search.

    Attributes:
        files: How many files were read.
        bytes: Their total length.
        holding: Files with 32 bytes in a row of an erased value that no kept value holds too.
        unreadable: Files that could not be read.
    """

    files: int
    bytes: int
    holding: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def search_files(database: Database, folder: Path, values: Sequence[bytes]) -> FileSearch:
    """Look for erased values in every file below a folder; links are not followed.

    Templates and crops share bytes: all crops begin with the same tables, and two people may be enrolled from one
    photo. Bytes that a kept value holds too say nothing about the erased one, so they do not count.

    Args:
        database: The gallery's database, from which the values were erased.
        folder: The gallery's folder.
        values: The erased values in their stored form.
    """
    erased = ErasedBytes(values)
    runs: dict[Path, set[Run]] = {}
    unreadable: list[Path] = []
    length = 0
    for path in sorted(folder.rglob("*")):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with database.raw.open(path) as file:
                runs[path], size = erased.runs_in_file(file)
            length += size
        except FileNotFoundError:
            # Deleted since the folder was listed, such as another process's temporary file; its bytes are gone too.
            continue
        except OSError:
            unreadable.append(path)
    found = set[Run]().union(*runs.values())
    left = only_erased(found, (erased.runs(page) for page in _kept_pages(database))) if found else found
    holding = tuple(path for path, theirs in runs.items() if theirs & left)
    return FileSearch(len(runs), length, holding, tuple(unreadable))


def _kept_pages(database: Database) -> Iterator[bytes]:
    """All kept crops and templates, some at a time, separated by random bytes so that no run spans two values."""
    separator = os.urandom(WINDOW)
    for statement, size in _PAGES:
        for rows in pages(database, statement, size):
            yield separator.join(value for _, value in rows if value is not None)
