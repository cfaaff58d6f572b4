"""The end of a zip file, checked before any zip library reads it, because a small file can claim millions of entries.

An archive is a zip file (APPNOTE.TXT 6.3, 4.3): entries, central directory, zip64 records if they are needed, the end
record, and as its comment 64 hex digits: the SHA-256 of all bytes before them.
"""

import hashlib
import io
import struct
from typing import BinaryIO

from twindex.errors import ArchiveError

SEAL_LENGTH = 64
MOST_ENTRIES = 8

_LARGEST_DIRECTORY = 1 << 16
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CHUNK = 1 << 20
_REMEDY = "Give a file that `twindex export` wrote, or export again."


def length_of(stream: BinaryIO) -> int:
    """The length of a seekable stream in bytes."""
    return stream.seek(0, io.SEEK_END)


def seal_of(stream: BinaryIO) -> bytes:
    """The SHA-256 of all but the last 64 bytes, as 64 hex digits."""
    left = length_of(stream) - SEAL_LENGTH
    stream.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode("ascii")


def check_directory(stream: BinaryIO) -> None:
    """Refuse a file that is not, from first byte to last, a zip file of a few entries with an archive's seal.

    Raises:
        ArchiveError: The end record is missing or contradicts the file, or the seal is broken.
    """
    length = length_of(stream)
    end = length - SEAL_LENGTH - _END.size
    if end < 0:
        raise _not_an_archive(f"it has {length} bytes")
    stream.seek(end)
    signature, disk, first_disk, here, entries, size, offset, comment = _END.unpack(stream.read(_END.size))
    if signature != b"PK\x05\x06" or comment != SEAL_LENGTH:
        raise _not_an_archive("it does not end as an archive does")
    if stream.read(SEAL_LENGTH) != seal_of(stream):
        raise ArchiveError(
            "archive_changed",
            "The archive's bytes are not the ones that were written: the SHA-256 at its end differs. "
            "Copy it again from where it was exported.",
        )
    zip64 = _zip64(stream, end)
    if zip64 is not None:
        end, entries, size, offset = zip64
    elif (disk, first_disk, here) != (0, 0, entries):
        raise _not_an_archive("it is one part of several")
    if entries > MOST_ENTRIES or size > _LARGEST_DIRECTORY or offset + size != end:
        raise _not_an_archive(f"its directory of {entries} entries has {size} bytes at byte {offset}")
    stream.seek(0)
    if stream.read(4) != b"PK\x03\x04":
        raise _not_an_archive("there is something before its first entry")


def _zip64(stream: BinaryIO, end: int) -> tuple[int, int, int, int] | None:
    """Where the directory must end, and its entries, size and offset, from the zip64 record; None without one."""
    locator = end - _LOCATOR64.size
    if locator < 0:
        return None
    stream.seek(locator)
    if stream.read(4) != b"PK\x06\x07":
        return None
    start = locator - _END64.size
    if start < 0:
        raise _not_an_archive("its zip64 record is cut off")
    stream.seek(start)
    signature, _, _, _, disk, first_disk, here, entries, size, offset = _END64.unpack(stream.read(_END64.size))
    _, with_record, at, disks = _LOCATOR64.unpack(stream.read(_LOCATOR64.size))
    if signature != b"PK\x06\x06" or (disk, first_disk, with_record, disks, here, at) != (0, 0, 0, 1, entries, start):
        raise _not_an_archive("its zip64 record does not agree with the file")
    return start, entries, size, offset


def _not_an_archive(why: str) -> ArchiveError:
    return ArchiveError("not_an_archive", f"The file is not a gallery archive: {why}. {_REMEDY}")
