"""A photo's bytes from a file that may be anything: a pipe, a device, a disk image; and what they are known by."""

import hashlib
from pathlib import Path

from twindex.errors import PhotoError

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
