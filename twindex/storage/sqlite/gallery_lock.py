"""The lock on a gallery's folder: shared by all who use the gallery, exclusive while its database is replaced.

If a database is replaced while another process has it open, that process's writes are lost, and its journal may be
applied to the new file, because SQLite finds journals by name (https://www.sqlite.org/howtocorrupt.html). SQLite's own
locks last only as long as a transaction. Where folders cannot be locked, a database cannot be replaced.
"""

import os
import weakref
from collections.abc import Callable
from pathlib import Path

from twindex.errors import UsageError
from twindex.files.folder_lock import LockKind, lock_folder


class GalleryLock:
    """A lock on a gallery's folder, held until it is closed.

    Args:
        folder: Of the gallery.
        kind: "shared" to use the gallery, "exclusive" to replace its database.

    Raises:
        UsageError: Another process holds the other kind of lock, the folder cannot be read, or an exclusive lock is
            wanted where folders cannot be locked.
    """

    def __init__(self, folder: Path, kind: LockKind) -> None:
        self._release: Callable[[], object] | None = None
        try:
            descriptor = lock_folder(folder, kind)
        except BlockingIOError as error:
            raise _in_use(folder, kind) from error
        except OSError as error:
            raise UsageError(f"The gallery's folder {str(folder)!r} cannot be read ({error}); check it.") from error
        if descriptor is not None:
            # If a gallery is never closed, its lock is released when the object is garbage-collected.
            self._release = weakref.finalize(self, os.close, descriptor)
        elif kind == "exclusive":
            # A shared lock is not needed here: nothing can ever take the exclusive one.
            raise UsageError(
                f"The folder {str(folder)!r} cannot be locked (on Windows no folder can); move the gallery to a file "
                "system with locks, or make a new one."
            )

    def close(self) -> None:
        """Release the lock. Closing twice is harmless."""
        if self._release is not None:
            self._release()


def _in_use(folder: Path, kind: str) -> UsageError:
    if kind == "shared":
        return UsageError(f"The gallery in {str(folder)!r} is being given another key; try again when that is done.")
    return UsageError(f"Another program has the gallery in {str(folder)!r} open; end it and try again.")
