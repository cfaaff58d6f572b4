"""A folder for inputs that are read as files."""

import atexit
import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")


def scratch_folder() -> Path:
    """A new folder, in memory where there is such a place, that goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="twindex-fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
