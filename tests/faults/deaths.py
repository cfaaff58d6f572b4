"""Named places where a process of these tests can die, or meet a full disk: every write, fsync, rename and commit.

TWINDEX_KILL_AT=POINT:COUNT kills the process when it comes to a point for the COUNT-th time;
TWINDEX_FAIL_AT=POINT:COUNT makes that write, and every later one, fail as on a full disk.

SQLite's own calls are reached through its VFS (sqlite3_vfs.xSetSystemCall, https://www.sqlite.org/c3ref/vfs.html). Its
fsync is not among them; for a kill it makes no difference whether the process dies there or before the next write,
because the system keeps what was written. SQLCipher, for encrypted galleries, is an SQLite of its own.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from twindex.storage.sqlite.driver import sqlcipher

KILL_AT, FAIL_AT, COUNT_IN = "TWINDEX_KILL_AT", "TWINDEX_FAIL_AT", "TWINDEX_COUNT_POINTS"
POINTS = (
    "write",  # a piece of a snapshot, before it
    "torn-write",  # and in the middle of it
    "fsync",
    "rename",
    "renamed",
    "unlink",
    "unlinked",
    "commit",
    "committed",
    "sqlite-write",  # a page of the database or of its journal, before it
    "sqlite-torn-write",  # and in the middle of it
    "sqlite-truncate",  # of the journal: the moment of the commit itself
    "sqlite-unlink",
)
FAILING = ("write", "fsync", "sqlite-write")

Call = Callable[..., Any]
_Pointer = ctypes.c_void_p
_PWRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, _Pointer, ctypes.c_size_t, ctypes.c_longlong, use_errno=True)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_longlong, use_errno=True)
_UNLINK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, use_errno=True)
_METHODS = (
    *("xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness"),
    *("xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64"),
)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", _Pointer),
        ("zName", ctypes.c_char_p),
        ("pAppData", _Pointer),
        *((method, _Pointer) for method in _METHODS),
        ("xSetSystemCall", ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, _Pointer)),
        ("xGetSystemCall", ctypes.CFUNCTYPE(_Pointer, _Pointer, ctypes.c_char_p)),
    )


class Points:
    """Counts the points that a process passes, and ends it at one of them.

    Args:
        kill_at, fail_at: A point and which of its passages, or None.
    """

    def __init__(self, kill_at: tuple[str, int] | None, fail_at: tuple[str, int] | None) -> None:
        self.passed: Counter[str] = Counter()
        self._kill_at = kill_at
        self._fail_at = fail_at
        self._lock = threading.Lock()
        self._kept: list[Any] = []

    def comes_to(self, point: str) -> bool:
        """Count a passage; whether the process must die at it."""
        with self._lock:
            self.passed[point] += 1
            return self._kill_at == (point, self.passed[point])

    def passes(self, point: str) -> None:
        """Count a passage, and die if it is the one."""
        if self.comes_to(point):
            die()

    def fails(self, point: str) -> bool:
        """Whether the disk is full at the passage just counted."""
        return self._fail_at is not None and self._fail_at[0] == point and self.passed[point] >= self._fail_at[1]

    def install(self) -> None:
        """Put the points into this process, for good."""
        self._python()
        sqlcipher()
        for driver in ("_sqlite3", "sqlcipher3._sqlite3"):
            self._sqlite(str(sys.modules[driver].__file__))
        commit = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            self.passes("commit")
            commit(dialect, connection)
            self.passes("committed")

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]  # that is the fault

    def _python(self) -> None:
        fdopen, fsync, unlink = os.fdopen, os.fsync, os.unlink

        def dying_fdopen(*arguments: Any, **named: Any) -> Any:
            return _DyingFile(fdopen(*arguments, **named), self)

        def dying_fsync(descriptor: int) -> None:
            self.passes("fsync")
            if self.fails("fsync"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        def dying_unlink(*arguments: Any, **named: Any) -> None:
            self.passes("unlink")
            unlink(*arguments, **named)
            self.passes("unlinked")

        os.fdopen, os.fsync, os.unlink = dying_fdopen, dying_fsync, dying_unlink  # type: ignore[assignment]  # the faults
        for name in ("replace", "rename", "link"):
            setattr(os, name, self._renaming(getattr(os, name)))

    def _renaming(self, call: Call) -> Call:
        def dying(*arguments: Any, **named: Any) -> None:
            self.passes("rename")
            call(*arguments, **named)
            self.passes("renamed")

        return dying

    def _sqlite(self, library_file: str) -> None:
        library = ctypes.CDLL(library_file)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        vfs = library.sqlite3_vfs_find(None)

        def replace(name: bytes, kind: Any, make: Callable[[Call], Call]) -> None:
            address = vfs.contents.xGetSystemCall(ctypes.cast(vfs, _Pointer), name)
            if address:
                wrapped = kind(make(kind(address)))
                self._kept.append(wrapped)
                vfs.contents.xSetSystemCall(ctypes.cast(vfs, _Pointer), name, ctypes.cast(wrapped, _Pointer))

        def pwrite(call: Call) -> Call:
            def dying(descriptor: int, data: int, length: int, offset: int) -> int:
                self.passes("sqlite-write")
                if self.fails("sqlite-write"):
                    ctypes.set_errno(errno.ENOSPC)
                    return -1
                if self.comes_to("sqlite-torn-write"):
                    call(descriptor, data, length // 2, offset)
                    die()
                return int(call(descriptor, data, length, offset))

            return dying

        def at(point: str) -> Callable[[Call], Call]:
            def make(call: Call) -> Call:
                def dying(*arguments: Any) -> int:
                    self.passes(point)
                    return int(call(*arguments))

                return dying

            return make

        replace(b"pwrite", _PWRITE, pwrite)
        replace(b"pwrite64", _PWRITE, pwrite)
        replace(b"ftruncate", _TRUNCATE, at("sqlite-truncate"))
        replace(b"unlink", _UNLINK, at("sqlite-unlink"))


class _DyingFile:
    """A file whose writes are points; everything else is the file's own."""

    def __init__(self, file: Any, points: Points) -> None:
        self._file = file
        self._points = points

    def write(self, piece: bytes) -> int:
        self._points.passes("write")
        if self._points.fails("write"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._points.comes_to("torn-write"):
            self._file.write(piece[: len(piece) // 2])
            self._file.flush()
            die()
        return int(self._file.write(piece))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_DyingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def die() -> None:
    """At once: nothing flushed, nothing unwound."""
    os.kill(os.getpid(), signal.SIGKILL)


def install_from_environment() -> None:
    """Install the points that the environment names; none if it names none."""
    environment = os.environ
    if not {KILL_AT, FAIL_AT, COUNT_IN} & set(environment):
        return
    points = Points(_point(environment.get(KILL_AT)), _point(environment.get(FAIL_AT)))
    points.install()
    if COUNT_IN in environment:
        import atexit

        file = Path(environment[COUNT_IN])
        atexit.register(lambda: file.write_text(json.dumps(points.passed), encoding="utf-8"))


def _point(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    name, count = text.split(":")
    if name not in POINTS:
        raise ValueError(f"No point {name!r}; expected one of {', '.join(POINTS)}.")
    return name, int(count)
