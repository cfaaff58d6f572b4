"""Locks on folders. The system releases a lock when the process that holds it ends, however it ends."""

import os
from pathlib import Path
from typing import Literal

LockKind = Literal["shared", "exclusive"]


def lock_folder(folder: Path, kind: LockKind) -> int | None:
    """Lock a folder until the returned descriptor is closed; never waits.

    Args:
        folder: What to lock. On a network file system only processes of this computer may see the lock.
        kind: Any number of processes can hold a "shared" lock; an "exclusive" lock excludes every other.

    Returns:
        An open descriptor, or None if folders cannot be locked, as on Windows and on some file systems.

    Raises:
        BlockingIOError: Another process holds an exclusive lock, or any lock if `kind` is "exclusive".
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
