"""The one place that translates SQLite's errors into Twindex's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from twindex.errors import IntegrityError, TwindexError, UsageError

# A read-only connection gets these after another process was killed while writing the database or its log.
_CUT_SHORT = (
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_READONLY_RECOVERY,
    sqlite3.SQLITE_READONLY_CANTINIT,
)
_UNDO_ELSEWHERE = (
    UsageError,
    "another process was killed while writing, and its changes can only be rolled back if the file is writable",
    "make the file and its folder writable, then run `twindex doctor`",
)

# For each result code (https://www.sqlite.org/rescode.html) the error class, what happened, and the remedy. An extended
# code takes precedence over its primary code.
_FAULTS: dict[int, tuple[type[TwindexError], str, str]] = {
    sqlite3.SQLITE_BUSY: (UsageError, "another process is reading or writing", "try again when it has finished"),
    sqlite3.SQLITE_LOCKED: (UsageError, "another connection holds a lock", "try again when it has finished"),
    sqlite3.SQLITE_READONLY: (UsageError, "it is read-only", "make the file and its folder writable"),
    sqlite3.SQLITE_PERM: (UsageError, "access was denied", "make the file and its folder readable and writable"),
    sqlite3.SQLITE_AUTH: (UsageError, "access was denied", "make the file and its folder readable and writable"),
    sqlite3.SQLITE_CANTOPEN: (UsageError, "it cannot be opened", "check the path and its permissions"),
    sqlite3.SQLITE_FULL: (UsageError, "the disk is full", "free some space; nothing acknowledged is lost"),
    sqlite3.SQLITE_IOERR: (
        UsageError,
        "reading or writing failed",
        "check free space, file size limits and the disk; nothing acknowledged is lost",
    ),
    sqlite3.SQLITE_CORRUPT: (IntegrityError, "the file is damaged", "restore a backup or run `twindex doctor`"),
    sqlite3.SQLITE_NOTADB: (IntegrityError, "the file is not a SQLite database", "check the path or restore a backup"),
    sqlite3.SQLITE_CONSTRAINT: (IntegrityError, "a row breaks a rule of the schema", "run `twindex doctor`"),
    **dict.fromkeys(_CUT_SHORT, _UNDO_ELSEWHERE),
}
_OTHER = (TwindexError, "SQLite failed", "run `twindex doctor`")
_NO_TEXT: tuple[type[TwindexError], str, str] = (
    IntegrityError,
    "the file is damaged: a text in it is not UTF-8",
    "restore a backup or run `twindex doctor`",
)
_NO_UTF_8 = "Could not decode to UTF-8"  # the driver's own message; this error has no code


def translated(error: BaseException | None, path: Path) -> TwindexError:
    """The Twindex error with the same meaning as SQLite's.

    Args:
        error: What the driver raised.
        path: The database, for the message.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, UnicodeDecodeError) or (code is None and str(error).startswith(_NO_UTF_8)):
        kind, happened, remedy = _NO_TEXT
    else:
        # The low byte of an extended code is its primary code.
        kind, happened, remedy = _OTHER if code is None else _FAULTS.get(code) or _FAULTS.get(code & 0xFF, _OTHER)
    return kind(f"The gallery's database {str(path)!r}: {happened} ({error}); {remedy}.")


def needs_recovery(error: Exception, *, primary_only: bool = False) -> bool:
    """Whether a writable connection could repair what keeps a read-only connection from reading.

    Args:
        error: What the driver raised.
        primary_only: Whether the driver reports primary codes only, as SQLCipher's does.
    """
    return getattr(error, "sqlite_errorcode", None) in ((sqlite3.SQLITE_READONLY,) if primary_only else _CUT_SHORT)


@contextmanager
def translated_faults(path: Path, driver_error: type[Exception] = sqlite3.Error) -> Iterator[None]:
    """Translate SQLite's errors inside the block into Twindex errors about the database at `path`.

    Args:
        path: The database, for the message.
        driver_error: The base class of the driver's errors.
    """
    try:
        yield
    except DBAPIError as error:
        raise translated(error.orig, path) from error
    except (driver_error, UnicodeDecodeError) as error:
        # The driver also decodes SQLite's messages, which may quote damaged text.
        raise translated(error, path) from error
