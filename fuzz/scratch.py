"""A folder for inputs that are read as files."""

import os
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")


def scratch_folder(target: str) -> Path:
    """A target's folder, in memory where there is such a place; this user's only, and one run at a time.

    It is used again by the next run: libFuzzer ends a process without letting Python tidy up.
    """
    parent = _IN_MEMORY if _IN_MEMORY.is_dir() else Path(tempfile.gettempdir())
    folder = parent / f"twindex-fuzz-{os.getuid()}-{target}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else.")
    return folder
