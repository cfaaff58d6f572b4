"""Folders for work that is not finished: beside what it will be, for their owner alone, known again when left over."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".twindex-partial"
_ABANDONED_AFTER_S = 3600.0


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, removed at the end; what killed processes left there an hour ago goes too.

    Raises:
        OSError: No folder can be made there.
    """
    _remove_abandoned(target)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def partial_folders(target: Path) -> list[Path]:
    """What unfinished work on `target` there is, or was when its process was killed."""
    # Compared as text: a name may hold what a pattern would take for a wildcard.
    begins = f".{target.name}."
    return sorted(
        path
        for path in target.absolute().parent.glob(f".*{_SUFFIX}")
        if path.name.startswith(begins) and path.is_dir() and not path.is_symlink()
    )


def _remove_abandoned(target: Path) -> None:
    limit = time.time() - _ABANDONED_AFTER_S
    for folder in partial_folders(target):
        if folder.stat().st_mtime <= limit:
            shutil.rmtree(folder)
