"""Whether erased values are still in any file below a folder."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, select

from twindex.storage.checks.byte_search import WINDOW, Remains, Run, unexplained
from twindex.storage.schema.tables import SAMPLES, TEMPLATES
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.pages import pages

_PAGES: tuple[tuple[Select[int, bytes | None], int], ...] = (
    (select(SAMPLES.c.id, SAMPLES.c.crop), 200),
    (select(TEMPLATES.c.id, TEMPLATES.c.vector), 5_000),
)


@dataclass(frozen=True)
class FileSearch:
    """What a search has found.

    Attributes:
        files: How many were read.
        bytes: That they have together.
        holding: Those that hold 32 bytes in a row of an erased value which no value that is kept holds too.
        unreadable: Those that could not be read.
    """

    files: int
    bytes: int
    holding: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def search_files(database: Database, folder: Path, values: Sequence[bytes]) -> FileSearch:
    """Look for erased values in every file below a folder; links are not followed.

    Templates and crops have bytes in common: all crops begin with the same tables, and two people may be enrolled from
    one photo. What a value that is kept holds as well says nothing of the erased one, and does not count.

    Args:
        database: The gallery's, from which the values are erased.
        folder: The gallery's.
        values: In their stored form.
    """
    remains = Remains(values)
    runs: dict[Path, set[Run]] = {}
    unreadable: list[Path] = []
    length = 0
    for path in sorted(folder.rglob("*")):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with database.raw.open(path) as file:
                runs[path], size = remains.runs_in_file(file)
            length += size
        except FileNotFoundError:
            # Gone since it was listed, such as another process's temporary file; so are its bytes.
            continue
        except OSError:
            unreadable.append(path)
    found = set[Run]().union(*runs.values())
    left = unexplained(found, (remains.runs(page) for page in _kept_pages(database))) if found else found
    holding = tuple(path for path, theirs in runs.items() if theirs & left)
    return FileSearch(len(runs), length, holding, tuple(unreadable))


def _kept_pages(database: Database) -> Iterator[bytes]:
    """All crops and templates that are kept, some at a time; bytes that nobody holds keep neighbours apart."""
    apart = os.urandom(WINDOW)
    for statement, size in _PAGES:
        for rows in pages(database, statement, size):
            yield apart.join(value for _, value in rows if value is not None)
