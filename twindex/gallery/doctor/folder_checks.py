"""Checks of a gallery's folder that need no open database."""

import os
import stat
from pathlib import Path

from twindex.config import DATABASE, SNAPSHOTS
from twindex.errors import ForeignDatabaseError, IntegrityError, TwindexError
from twindex.files.work_folder import work_folders
from twindex.gallery.doctor.findings import RESTORE, Finding
from twindex.gallery.doctor.library_checks import check_libraries
from twindex.gallery.file_roles import foreign_files
from twindex.storage.rekeying import leftovers as rekey_leftovers
from twindex.storage.sqlite.journal import journal_is_unsafe, read_header

_OTHERS_ACCESS = 0o007
_OTHERS_WRITE = 0o002
_NAMED = 5


def check_folder(folder: Path) -> list[Finding]:
    """Find left-over and foreign files, access by other users, an unsafe journal, and libraries with known defects."""
    left = leftovers(folder)
    return [*_leftovers(left), *_foreign(folder, left), *_access(folder), *_journal(folder), *check_libraries()]


def unopenable(folder: Path, error: TwindexError) -> Finding:
    """Describe a database that cannot be opened.

    Args:
        folder: Of the gallery.
        error: What opening it raised.
    """
    database = folder / DATABASE
    code = "database_unusable"
    if database.is_file() and database.stat().st_size == 0:
        code = "database_empty"
    elif isinstance(error, ForeignDatabaseError):
        code = "database_foreign"
    return Finding(str(error), code=code, advice=RESTORE)


def leftovers(folder: Path) -> list[Path]:
    """Files that a killed creation, import or rekeying of this gallery left behind; an existing gallery needs none."""
    made = [path for path in folder.glob(f".{DATABASE}.*.new*") if path.is_file()]
    return sorted([*made, *rekey_leftovers(folder / DATABASE)]) + work_folders(folder)


def open_to_others(folder: Path) -> list[Path]:
    """Gallery files that every user of this machine may read or change, and folders that all may write to."""
    if os.name == "nt":
        return []
    files = [path for path in (*folder.glob(f"{DATABASE}*"), *(folder / SNAPSHOTS).glob("*")) if path.is_file()]
    found = [path for path in sorted(files) if _mode(path) & _OTHERS_ACCESS]
    return found + [path for path in (folder, folder / SNAPSHOTS) if path.is_dir() and _mode(path) & _OTHERS_WRITE]


def close_to_others(path: Path) -> None:
    """Remove the access that `open_to_others` reports, from all but owner and group; a missing file is fine."""
    if not path.exists():
        return
    path.chmod(_mode(path) & ~(_OTHERS_WRITE if path.is_dir() else _OTHERS_ACCESS))


def _mode(path: Path) -> int:
    """Permission bits; 0 if another process has just removed the file."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0


def _leftovers(left: list[Path]) -> list[Finding]:
    return [
        Finding(
            f"{path.name} was left by a process that was killed, and may hold faces and templates.",
            "remove_leftover",
            file=str(path),
            code="leftover",
            severity="warning",
        )
        for path in left
    ]


def _foreign(folder: Path, left: list[Path]) -> list[Finding]:
    """Find files that are not the gallery's: no erasure removes what they hold, and no key protects it."""
    files = [path for path in foreign_files(folder) if not any(path.is_relative_to(leftover) for leftover in left)]
    if not files:
        return []
    names = ", ".join(str(path.relative_to(folder)) for path in files[:_NAMED])
    text = f"The folder holds files that are not the gallery's, and no erasure reaches them ({len(files)}): {names}"
    encrypted = _is_encrypted(folder)
    return [
        Finding(
            text + (", ..." if len(files) > _NAMED else "") + (". They are not encrypted." if encrypted else "."),
            code="foreign_files",
            severity="warning" if encrypted else "note",
            advice="Keep them elsewhere, or remove them.",
        )
    ]


def _is_encrypted(folder: Path) -> bool:
    try:
        return read_header(folder / DATABASE).encryption is not None
    except IntegrityError:
        return False  # opening the database reports what is wrong


def _access(folder: Path) -> list[Finding]:
    return [
        Finding(
            f"Every user of this machine has access to {path.name}: faces can be rebuilt from templates.",
            "close_to_others",
            file=str(path),
            code="open_to_others",
            severity="warning",
        )
        for path in open_to_others(folder)
    ]


def _journal(folder: Path) -> list[Finding]:
    try:
        unsafe = journal_is_unsafe(read_header(folder / DATABASE))
    except IntegrityError:
        return []  # opening the database reports what is wrong
    if not unsafe:
        return []
    text = "The database keeps a write-ahead log, which this version of SQLite can damage when two processes write."
    return [Finding(text, "change_journal", code="sqlite_wal", severity="warning")]
