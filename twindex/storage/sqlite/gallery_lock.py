"""Who has a gallery open: a shared lock on its folder by everybody, an exclusive one by whoever replaces its database.

A database that is renamed over while others have it open loses what they write, and its journal is found by name
(https://www.sqlite.org/howtocorrupt.html); SQLite's own locks are held during transactions only. Where there is no such
lock, nothing can be alone.
"""

import os
import weakref
from collections.abc import Callable
from pathlib import Path

from twindex.errors import UsageError
from twindex.files.folder_lock import LockKind, lock_folder


class Occupancy:
    """A lock on a gallery's folder, held until it is closed.

    Args:
        folder: Of the gallery.
        kind: "shared" to use the gallery, "exclusive" to replace its database.

    Raises:
        UsageError: Somebody holds the other kind, the folder cannot be read, or not be locked by one alone.
    """

    def __init__(self, folder: Path, kind: LockKind) -> None:
        self._give_back: Callable[[], object] | None = None
        try:
            descriptor = lock_folder(folder, kind)
        except BlockingIOError as error:
            raise _occupied(folder, kind) from error
        except OSError as error:
            raise UsageError(f"The gallery's folder {str(folder)!r} cannot be read ({error}); check it.") from error
        if descriptor is not None:
            # Whoever forgets to close a gallery gives its lock back with the memory.
            self._give_back = weakref.finalize(self, os.close, descriptor)
        elif kind == "exclusive":
            # What needs to be alone cannot be done there, so those who share need no lock.
            raise UsageError(
                f"The folder {str(folder)!r} cannot be locked, on Windows never; move the gallery to a file system "
                "with locks, or make a new one."
            )

    def close(self) -> None:
        """Give the lock back. Closing twice is harmless."""
        if self._give_back is not None:
            self._give_back()


def _occupied(folder: Path, kind: str) -> UsageError:
    if kind == "shared":
        return UsageError(f"The gallery in {str(folder)!r} is being given another key; try again when that is done.")
    return UsageError(f"Another program has the gallery in {str(folder)!r} open; end it and try again.")
