"""Reading the files of a database while SQLite has it open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class RawFiles:
    """Opens a database's files for reading, and keeps the files that SQLite locks open.

    On POSIX systems, closing any descriptor of a file drops every lock that the process has on it, SQLite's too
    (https://www.sqlite.org/howtocorrupt.html, section 2.2). So those files are closed only after the last connection.

    Args:
        database: The database's path.
    """

    def __init__(self, database: Path) -> None:
        self._locked = {database.name, f"{database.name}-shm"}
        self._folder = database.absolute().parent
        self._kept: dict[tuple[int, int], BinaryIO] = {}

    @contextmanager
    def open(self, path: Path) -> Iterator[BinaryIO]:
        """A file, positioned at its start.

        Raises:
            OSError: The file cannot be read.
        """
        if path.name not in self._locked or path.absolute().parent != self._folder:
            with path.open("rb") as file:
                yield file
            return
        known = path.stat()
        key = (known.st_dev, known.st_ino)
        if key not in self._kept:
            self._kept[key] = path.open("rb")
        self._kept[key].seek(0)
        yield self._kept[key]

    def close(self) -> None:
        """Close all files that were kept open; no connection to the database may be open any more."""
        for file in self._kept.values():
            file.close()
        self._kept.clear()
