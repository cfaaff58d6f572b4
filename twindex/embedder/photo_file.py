"""Photo files: which files are photos, their bytes (a file may be a pipe, a device, a disk image), and their digest."""

import hashlib
import os
from pathlib import Path

from twindex.errors import PhotoError

SUFFIXES = frozenset(
    # What is read, and what people take for photos: the latter are reported as of an unsupported format.
    {".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".webp"}
    | {".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff"}
)
MAX_BYTES = 256 * 2**20


def read_photo(path: Path) -> bytes:
    """The bytes of a photo file.

    Raises:
        PhotoError: `unreadable`: not a regular file, not allowed to be read, or larger than 256 MiB.
    """
    try:
        # A pipe would wait for ever, so it is not opened.
        if not path.is_file():
            raise PhotoError("unreadable", "It is not a regular file.")
        length = path.stat().st_size
        if length > MAX_BYTES:
            raise PhotoError("unreadable", f"The file has {length} bytes; photos of at most {MAX_BYTES} are read.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError("unreadable", f"The file cannot be read: {error.strerror or error}.") from error


def source_digest(data: bytes) -> str:
    """SHA-256 of a photo's bytes, hex, by which a photo is known."""
    return hashlib.sha256(data).hexdigest()


def photos_below(folder: Path) -> list[Path]:
    """Files with an image's suffix at any depth, in name order, without hidden ones."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(files) if is_photo(name)]
    return found


def is_photo(name: str) -> bool:
    """Whether a file of that name is taken for a photo."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
