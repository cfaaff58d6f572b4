"""Making names in a folder durable."""

import os
from pathlib import Path


def synchronise(folder: Path) -> None:
    """Make renames and deletions in a folder durable; only POSIX can open folders, Windows journals them itself."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
