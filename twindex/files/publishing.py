"""Private files, and giving a finished one its name without ever replacing another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twindex.files.durability import synchronise


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner alone, since faces can be rebuilt from templates; on disk at the block's end.

    Raises:
        OSError: It cannot be made or written, or there is one.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "w+b") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


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
