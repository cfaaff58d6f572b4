"""Who has a gallery open: a shared lock on its folder by everybody, an exclusive one by whoever replaces its database.

A database that is renamed over while others have it open loses what they write, and its journal is found by name
(https://www.sqlite.org/howtocorrupt.html); SQLite's own locks are held during transactions only. The system gives the
lock back when a process ends, however it ends. Where there is no such lock, on Windows, nothing can be alone.
"""

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from twindex.errors import UsageError


class Occupancy:
    """A lock on a gallery's folder, held until it is closed.

    Args:
        folder: Of the gallery.
        kind: "shared" to use the gallery, "exclusive" to replace its database.

    Raises:
        UsageError: Somebody holds the other kind, or the folder cannot be read.
    """

    def __init__(self, folder: Path, kind: Literal["shared", "exclusive"]) -> None:
        self._give_back: Callable[[], object] | None = None
        if os.name == "nt":
            if kind == "exclusive":
                raise UsageError(f"The folder {str(folder)!r} cannot be locked on Windows; make a new gallery.")
            return
        import fcntl

        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UsageError(f"The gallery's folder {str(folder)!r} cannot be read ({error}); check it.") from error
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if kind == "shared" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _occupied(folder, kind) from error
        except OSError as error:
            os.close(descriptor)
            # A file system without locks: what needs to be alone cannot be done there, so the others need none.
            if kind == "exclusive":
                raise UsageError(f"The folder {str(folder)!r} cannot be locked ({error}); move the gallery.") from error
            return
        # Whoever forgets to close a gallery gives its lock back with the memory.
        self._give_back = weakref.finalize(self, os.close, descriptor)

    def close(self) -> None:
        """Give the lock back. Closing twice is harmless."""
        if self._give_back is not None:
            self._give_back()


def _occupied(folder: Path, kind: str) -> UsageError:
    if kind == "shared":
        return UsageError(f"The gallery in {str(folder)!r} is being given another key; try again when that is done.")
    return UsageError(f"Another program has the gallery in {str(folder)!r} open; end it and try again.")
