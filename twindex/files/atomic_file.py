"""Files that are whole or not there: whatever is killed, the old content stays until the new one is on disk."""

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from twindex.files.durability import synchronise

_SUFFIX = ".twindex-partial"


def write_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file through a temporary one beside it, readable by its owner only.

    Temporary file, write, fsync, rename, fsync of the directory. Names are unique, so that what a killed process left
    behind is in nobody's way.

    Args:
        path: Replaced in one step if it exists.
        pieces: The content.

    Raises:
        OSError: A full disk, a missing or read-only directory. `path` is as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    synchronise(path.parent)


def remove_leftovers(directory: Path, older_than_s: float) -> None:
    """Delete the temporary files of writes that were killed.

    Args:
        directory: Where `write_atomically` wrote.
        older_than_s: Spare files written later than this many seconds ago; a write whose file is deleted fails, and
            leaves the old file.

    Raises:
        OSError: One cannot be deleted.
    """
    limit = time.time() - older_than_s
    for leftover in directory.glob(f".*{_SUFFIX}"):
        # Its writer may have renamed it meanwhile.
        with suppress(FileNotFoundError):
            if leftover.stat().st_mtime <= limit:
                leftover.unlink()
