"""Photo files: which files are photos, their bytes (a file may be a pipe, a device, a disk image), and their digest."""

import hashlib
import os
import stat
from pathlib import Path

from twindex.errors import PhotoError

SUFFIXES = frozenset(
    # What is read, and what people take for photos: the latter are reported as of an unsupported format.
    {".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".webp"}
    | {".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff"}
)
MAX_BYTES = 128 * 2**20


def read_photo(path: Path) -> bytes:
    """The bytes of a photo file, all of one moment.

    Raises:
        PhotoError: `unreadable`: not a regular file, not allowed to be read, larger than 128 MiB, or being written.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as opened:
            before = os.fstat(opened.fileno())
            # Asked of what is open: under its name something else may lie by now.
            if not stat.S_ISREG(before.st_mode):
                raise PhotoError("unreadable", "It is not a regular file. Give the photo itself.")
            if before.st_size > MAX_BYTES:
                raise PhotoError(
                    "unreadable",
                    f"The file has {before.st_size} bytes; photos of at most {MAX_BYTES} are read. Save it as JPEG.",
                )
            data = opened.read(before.st_size + 1)  # one more than expected shows growth without reading on for ever
            after = os.fstat(opened.fileno())
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or error}. Check that it is there and may be read."
        raise PhotoError("unreadable", message) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise PhotoError("unreadable", "The file changed while it was read. Try again when nothing writes to it.")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Opens at once what would be waited for for ever, such as a pipe; files behave as ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def source_digest(data: bytes) -> str:
    """SHA-256 of a photo's bytes, hex, by which a photo is known."""
    return hashlib.sha256(data).hexdigest()


def photos_below(folder: Path) -> list[Path]:
    """Files with an image's suffix at any depth, in name order, without hidden ones.

    A folder that cannot be listed is among them: reading it says why, instead of its photos being passed over.
    """
    return [path for path, is_file in _below(folder) if not is_file or is_photo(path.name)]


def others_below(folder: Path) -> list[Path]:
    """The files that `photos_below` leaves out, but for hidden ones."""
    return [path for path, is_file in _below(folder) if is_file and not is_photo(path.name)]


def _below(folder: Path) -> list[tuple[Path, bool]]:
    """What is at any depth, in name order, without hidden ones: files (True), and folders that cannot be listed."""
    found: list[tuple[Path, bool]] = []

    def report(error: OSError) -> None:
        found.append((Path(error.filename), False))

    for parent, folders, files in os.walk(folder, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [(Path(parent, name), True) for name in sorted(files) if not name.startswith(".")]
    return found


def is_photo(name: str) -> bool:
    """Whether a file of that name is taken for a photo."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
