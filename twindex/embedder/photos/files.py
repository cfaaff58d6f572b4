"""Photo files: which files are photos, how their bytes are read safely, and their digest."""

import hashlib
import os
import stat
from pathlib import Path

from twindex.errors import PhotoError

SUFFIXES = frozenset(
    # The formats that are read, then other formats of photos, so that these are reported as unsupported, not skipped.
    {".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".webp"}
    | {".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff"}
)
MAX_BYTES = 128 * 2**20


def read_photo(path: Path) -> bytes:
    """The bytes of a photo file, all read from one state of the file.

    Raises:
        PhotoError: `unreadable`: the file is not a regular one, may not be read, is larger than 128 MiB, or is being
            written.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as opened:
            before = os.fstat(opened.fileno())
            # Check the open file, not its name: another file may have the name by now.
            if not stat.S_ISREG(before.st_mode):
                raise PhotoError("unreadable", "This is not a regular file. Give the photo itself.")
            if before.st_size > MAX_BYTES:
                raise PhotoError(
                    "unreadable",
                    f"The file has {before.st_size} bytes; photos of at most {MAX_BYTES} are read. Save it as JPEG.",
                )
            data = opened.read(before.st_size + 1)  # one more byte shows growth, and stops there
            after = os.fstat(opened.fileno())
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or error}. Check that it is there and may be read."
        raise PhotoError("unreadable", message) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise PhotoError("unreadable", "The file changed while it was read. Try again when nothing writes to it.")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Open without blocking on pipes and devices; regular files are unaffected."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def source_digest(data: bytes) -> str:
    """SHA-256 of a photo's bytes, hex: the same photo has the same digest wherever it lies."""
    return hashlib.sha256(data).hexdigest()


def photos_below(folder: Path) -> list[Path]:
    """Files with the suffix of an image at any depth, in name order, without hidden ones.

    A folder that cannot be listed is included: an attempt to read it says why, so its photos are not skipped silently.
    """
    return [path for path, is_file in _below(folder) if not is_file or is_photo(path.name)]


def others_below(folder: Path) -> list[Path]:
    """The files that `photos_below` leaves out, except hidden ones."""
    return [path for path, is_file in _below(folder) if is_file and not is_photo(path.name)]


def _below(folder: Path) -> list[tuple[Path, bool]]:
    """Files (True) and folders that cannot be listed (False) at any depth, in name order, without hidden ones."""
    found: list[tuple[Path, bool]] = []

    def report(error: OSError) -> None:
        found.append((Path(error.filename), False))

    for parent, folders, files in os.walk(folder, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [(Path(parent, name), True) for name in sorted(files) if not name.startswith(".")]
    return found


def is_photo(name: str) -> bool:
    """Whether a file of that name counts as a photo."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
