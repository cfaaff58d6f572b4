"""Which journal a database uses, and what its header of 100 bytes says."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twindex.encryption.keys import HEADER_BYTES, is_encrypted
from twindex.errors import ForeignDatabaseError, IntegrityError, UsageError

APPLICATION_ID = 0x54776478  # "Twdx": marks a SQLite file as a gallery

_MAGIC = b"SQLite format 3\x00"
_HEADER_LENGTH = 100

JournalMode = Literal["wal", "truncate"]


@dataclass(frozen=True)
class Header:
    """The file header, read before SQLite opens the file (https://www.sqlite.org/fileformat2.html).

    Attributes:
        wal: Whether there may be a write-ahead log; always true for an encrypted database, whose header is unreadable.
        encryption: The first 16 bytes of an encrypted database; None if it is not encrypted.
    """

    wal: bool
    encryption: bytes | None = None


def journal_mode(version: tuple[int, int, int]) -> JournalMode:
    """The journal that is safe with this SQLite: a write-ahead log only if its reset bug is fixed.

    Args:
        version: The linked SQLite; the bug is fixed in 3.44.6, 3.50.7 and 3.51.3 (https://www.sqlite.org/wal.html).
    """
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)
    return "wal" if mended else "truncate"


def journal_is_unsafe(header: Header) -> bool:
    """Whether a database still has a log that the linked SQLite could damage; the next writer switches the journal."""
    # An encrypted database is never opened with the SQLite that Python links.
    return header.encryption is None and header.wal and journal_mode(sqlite3.sqlite_version_info) != "wal"


def read_header(path: Path) -> Header:
    """Read the header of a gallery's database.

    Raises:
        UsageError: If the file does not exist or cannot be read.
        IntegrityError: If the file is empty, too short, not a SQLite database, or not a gallery.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_LENGTH)
    except FileNotFoundError as error:
        raise UsageError(f"No gallery at {str(path)!r}: there is no such file; enrol a person to make one.") from error
    except OSError as error:
        raise UsageError(f"The gallery at {str(path)!r} cannot be read ({error}); check the path.") from error
    if not header:
        raise IntegrityError(f"The gallery's database {str(path)!r} has zero length; restore a backup.")
    if len(header) == _HEADER_LENGTH and is_encrypted(header):
        return Header(wal=True, encryption=header[:HEADER_BYTES])
    if len(header) < _HEADER_LENGTH or not header.startswith(_MAGIC):
        raise IntegrityError(f"{str(path)!r} is not a SQLite database: its header is wrong; restore a backup.")
    refuse_stranger(int.from_bytes(header[68:72], "big"), path)
    return Header(wal=header[18] == 2)


def may_write(path: Path) -> bool:
    """Whether a database can be written; its folder must be writable too, because SQLite makes its journal there."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def refuse_stranger(application_id: int, path: Path) -> None:
    """Refuse a SQLite database that is not a gallery.

    Raises:
        ForeignDatabaseError: The application id is another program's.
    """
    if application_id != APPLICATION_ID:
        raise ForeignDatabaseError(
            f"{str(path)!r} is a SQLite database but not a gallery: expected application id {APPLICATION_ID:#x}, "
            f"got {application_id:#x}; check the path."
        )


def connection_uri(path: Path, *, read_only: bool) -> str:
    """The SQLite URI that opens an existing file and never makes a new one.

    With a write-ahead log, even reading needs files beside the database. If the folder is read-only and holds no log,
    nobody is writing, so the file is opened as immutable (https://www.sqlite.org/wal.html#readonly).
    """
    uri = path.absolute().as_uri()
    if not read_only:
        return f"{uri}?mode=rw"
    log = path.with_name(f"{path.name}-wal")
    immutable = read_header(path).wal and not os.access(path.parent, os.W_OK) and not log.exists()
    return f"{uri}?mode=ro&immutable=1" if immutable else f"{uri}?mode=ro"
