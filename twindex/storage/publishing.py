"""Giving a finished file its name without ever replacing another."""

import os
from pathlib import Path

from twindex.durability import synchronise


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, and make that durable.

    Args:
        temporary: The file, whole and synchronised, on the same file system; where there are hard links it keeps its
            first name too.
        path: Its name from now on.

    Raises:
        FileExistsError: There is something of that name.
        OSError: The name cannot be given, in a read-only folder for instance.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: two processes creating at the same instant are told apart by luck only.
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists") from None
        temporary.rename(path)
    synchronise(path.parent)
