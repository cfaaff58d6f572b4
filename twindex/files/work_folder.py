"""Folders for work that is not finished: beside what it will be, for their owner alone, known again when left over.

Whoever works in one holds a shared lock on it, so what a killed process left is told from what a living one is writing.
Where there are no locks, age tells.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twindex.files.folder_lock import lock_folder

_SUFFIX = ".twindex-partial"
_LONGEST_NAME = 200  # bytes; file systems allow 255, and 26 come on top
_ABANDONED_AFTER_S = 3600.0


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, removed at the end.

    Raises:
        OSError: No folder can be made there.
    """
    folder, lock = _locked_folder(target)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        finally:
            _unlock(lock)


def partial_folders(target: Path) -> list[Path]:
    """What unfinished work on `target` there is, or was when its process was killed."""
    # Compared as text: a name may hold what a pattern would take for a wildcard.
    begins = _prefix(target)
    return sorted(
        path
        for path in target.absolute().parent.glob(f".*{_SUFFIX}")
        if path.name.startswith(begins)
        and "." not in path.name[len(begins) : -len(_SUFFIX)]  # else it is of `target`.zip, say
        and path.is_dir()
        and not path.is_symlink()
    )


def remove_abandoned(target: Path) -> None:
    """Remove what killed processes left of work on `target`, and nothing that a living one is writing.

    Where folders cannot be locked, what is younger than an hour stays.
    """
    for folder in partial_folders(target):
        # Living, gone meanwhile, or another user's.
        with suppress(BlockingIOError, FileNotFoundError, PermissionError):
            lock = lock_folder(folder, "exclusive")
            try:
                if lock is not None or folder.stat().st_mtime <= time.time() - _ABANDONED_AFTER_S:
                    shutil.rmtree(folder)
            finally:
                _unlock(lock)


def _locked_folder(target: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent))
        # Whoever comes between making and locking takes it for abandoned: then another is made.
        with suppress(BlockingIOError, FileNotFoundError):
            lock = lock_folder(folder, "shared")
            if folder.exists():
                return folder, lock
            _unlock(lock)


def _prefix(target: Path) -> str:
    name = os.fsencode(target.name)
    if len(name) <= _LONGEST_NAME:
        return f".{target.name}."
    return f".{hashlib.sha256(name).hexdigest()}."


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
