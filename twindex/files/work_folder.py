"""Folders for unfinished work: private, beside the file or folder to be made, and recognisable if left over.

The process that works in such a folder holds a shared lock on it. A folder without a lock was left behind by a killed
process. On file systems without locks, a folder counts as left behind after an hour.
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
_LONGEST_NAME = 200  # bytes; file systems allow 255, and prefix and suffix take 26
_ABANDONED_AFTER_S = 3600.0


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A new private folder beside `target`, removed when the block ends.

    Raises:
        OSError: The folder cannot be made.
    """
    folder, lock = _locked_folder(target)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        finally:
            _unlock(lock)


def work_folders(target: Path) -> list[Path]:
    """The work folders for `target`: those in use and those that killed processes left behind."""
    # Compare as text: in a pattern, parts of the name could act as wildcards.
    prefix = _prefix(target)
    return sorted(
        path
        for path in target.absolute().parent.glob(f".*{_SUFFIX}")
        if path.name.startswith(prefix)
        and "." not in path.name[len(prefix) : -len(_SUFFIX)]  # otherwise it belongs to `target`.zip, say
        and path.is_dir()
        and not path.is_symlink()
    )


def remove_abandoned(target: Path) -> None:
    """Remove the work folders for `target` that killed processes left behind, and none that is in use.

    Where folders cannot be locked, those younger than an hour stay.
    """
    for folder in work_folders(target):
        # In use, already removed, or another user's.
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
        # Another process may delete the folder before we lock it; if so, try again.
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
