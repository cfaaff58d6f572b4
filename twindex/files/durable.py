"""Files and folders that appear whole or not at all, and survive a power cut from then on.

Every file takes the same three steps: it is written under a temporary name in the same folder, its bytes are forced to
the disk, and only then is it renamed; forcing the folder to the disk makes the rename last.

    replace    a finished file takes a name, whether or not a file has it already
    publish    a finished file takes a name that nothing has yet
    folder     a new folder appears with everything in it

`write_file` writes the temporary file for `replace`, `private_file` one for `publish`.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
"""Permissions of a file for its owner alone: faces can be rebuilt from templates."""
PUBLIC = 0o666
"""Permissions of an ordinary file, before the process's umask is applied."""

_SUFFIX = ".twindex-partial"


def replace(finished: Path, path: Path) -> None:
    """Give a finished file a name, in one step and for good; a file that has the name is replaced.

    Args:
        finished: A whole file on the same file system; its bytes are forced to the disk first.
        path: Its new name.

    Raises:
        OSError: The file cannot be forced to the disk or renamed; then `path` is unchanged.
    """
    _synchronise(finished)
    finished.replace(path)
    _synchronise(path.parent)


def write_file(path: Path, pieces: Iterable[bytes | memoryview], *, mode: int = PRIVATE) -> None:
    """Write a file whole or not at all; a file that has the name is replaced.

    Each call uses a new name for its temporary file, so leftovers of killed processes do no harm.

    Args:
        path: The file to write.
        pieces: Its content.
        mode: Its permissions, before the process's umask is applied.

    Raises:
        OSError: The disk is full, say, or the folder is missing or read-only; then `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            for piece in pieces:
                file.write(piece)
        replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(directory: Path, older_than_s: float) -> None:
    """Delete the temporary files that killed calls of `write_file` left behind.

    Args:
        directory: Where `write_file` wrote.
        older_than_s: Spare files written in the last so many seconds. If a file is deleted while it is still being
            written, that `write_file` fails and leaves the old file.

    Raises:
        OSError: A file cannot be deleted.
    """
    limit = time.time() - older_than_s
    for leftover in directory.glob(f".*{_SUFFIX}"):
        # The process that wrote it may have renamed it meanwhile.
        with suppress(FileNotFoundError):
            if leftover.stat().st_mtime <= limit:
                leftover.unlink()


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner may read; its bytes are on the disk when the block ends.

    Raises:
        OSError: The file exists already, or cannot be created or written.
    """
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE), "w+b") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def publish(finished: Path, path: Path) -> None:
    """Give a finished file a name for good, but only if nothing has that name.

    Args:
        finished: A whole file on the same file system, already forced to the disk. Where hard links exist it keeps its
            first name too.
        path: Its new name.

    Raises:
        FileExistsError: Something has the name already.
        OSError: The file cannot take the name, for instance because the folder is read-only.
    """
    try:
        os.link(finished, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system: a file that another process publishes at this very instant may be replaced.
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists") from None
        finished.rename(path)
    _synchronise(path.parent)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes that name when the block ends, or is removed if the block fails.

    Args:
        path: The folder to make; missing parents are made too. It may exist, but only as an empty folder.

    Raises:
        OSError: Something else has the name, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # `mkdtemp` makes folders for their owner alone
        for content in temporary.rglob("*"):
            _synchronise(content)
        _synchronise(temporary)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    _synchronise(path.parent)


def _synchronise(path: Path) -> None:
    """Force a file's bytes, or the names in a folder, to the disk."""
    flags = os.O_RDWR
    if path.is_dir():
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows cannot open a folder; it journals names by itself.
        flags = os.O_RDONLY | os.O_DIRECTORY
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
