"""Locks on folders. The system gives a lock back when the process that holds it ends, however it ends."""

import os
from pathlib import Path
from typing import Literal

LockKind = Literal["shared", "exclusive"]


def lock_folder(folder: Path, kind: LockKind) -> int | None:
    """Lock a folder, without waiting, until the descriptor that is returned is closed.

    Args:
        folder: On a network file system the lock tells only this machine's processes of each other.
        kind: Any number may hold a "shared" lock at once; an "exclusive" one is held alone.

    Returns:
        An open descriptor; None where there is no such lock, as on Windows and on some file systems.

    Raises:
        BlockingIOError: Somebody holds the other kind, or an exclusive one.
        OSError: The folder cannot be opened.
    """
    if os.name == "nt":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if kind == "shared" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
