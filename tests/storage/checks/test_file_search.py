"""Searching a gallery's files for erased values."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, crop_bytes, enrol, remnants, request, unit_vector
from twindex.storage import Store
from twindex.storage.sqlite.database import Database


@pytest.fixture(params=["truncate", "wal"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: request.param)
    return str(request.param)


def weaken(monkeypatch: pytest.MonkeyPatch, pragma: str) -> None:
    """Remove a safeguard from every connection."""
    connect = Database._connect

    def weaker(self: Database, *, read_only: bool) -> sqlite3.Connection:
        connection = connect(self, read_only=read_only)
        connection.execute(pragma)
        return connection

    monkeypatch.setattr(Database, "_connect", weaker)


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_erased_values_are_found_nowhere_and_kept_ones_do_not_count(path: Path, journal: str) -> None:
    with Store.create(path) as store:
        store.references.enroll_many([request(1, "ada", crop_length=9000), request(2, "bob")], MODEL)
        erasure = store.subjects.erase("ada")
        assert sorted(erasure.remains) == sorted([unit_vector(1).tobytes(), crop_bytes(1, 9000)])
        search = store.search_files(path.parent, erasure.remains)
        assert search.holding == search.unreadable == ()
        assert search.files == len(list(path.parent.iterdir()))
        assert search.bytes == sum(file.stat().st_size for file in path.parent.iterdir())
        assert store.search_files(path.parent, [unit_vector(2).tobytes(), crop_bytes(2)]).holding == ()


def test_a_face_shared_with_another_subject_does_not_count(store: Store, path: Path) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "ada"), request(1, "bob")], MODEL)
    erasure = store.subjects.erase("ada")
    assert unit_vector(1).tobytes() in erasure.remains
    assert remnants(path.parent, unit_vector(1).tobytes()) == [path.name]
    assert store.search_files(path.parent, erasure.remains).holding == ()


def test_without_secure_delete_the_bytes_are_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weaken(monkeypatch, "PRAGMA secure_delete = OFF")
    with Store.create(path) as store:
        store.references.enroll_many([request(1, "ada", crop_length=9000), request(2, "bob")], MODEL)
        erasure = store.subjects.erase("ada")
        assert names(store.search_files(path.parent, erasure.remains).holding) == [path.name]
        store.rewrite()
        assert store.search_files(path.parent, erasure.remains).holding == ()
        assert store.references.owners([1, 2]) == {2: "bob"}
        assert store.check() == []


def test_without_a_checkpoint_the_bytes_are_found(path: Path, wal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.create(path) as store:
        enrol(store, 1, "ada")
        with monkeypatch.context() as left_out:
            left_out.setattr(Database, "truncate_journal", lambda self: True)
            erasure = store.subjects.erase("ada")
        assert f"{path.name}-wal" in names(store.search_files(path.parent, erasure.remains).holding)
        assert store.finish_erasure() is True
        assert store.search_files(path.parent, erasure.remains).holding == ()


@pytest.mark.parametrize("length", [32, 600])
def test_planted_bytes_are_found_in_any_file(store: Store, path: Path, length: int) -> None:
    enrol(store, 1, "ada")
    erasure = store.subjects.erase("ada")
    below = path.parent / "deep" / "deeper"
    below.mkdir(parents=True)
    hidden = below / ".hidden.tmp"
    hidden.write_bytes(b"x" * 1001 + crop_bytes(1)[50 : 50 + length] + b"y" * 77)
    planted = path.parent / "b.bin"
    planted.write_bytes(unit_vector(1).tobytes()[12 : 12 + 32])
    (path.parent / "harmless").write_bytes(crop_bytes(1)[50 : 50 + 31])
    (path.parent / "link").symlink_to(hidden)
    search = store.search_files(path.parent, erasure.remains)
    assert search.holding == (planted, hidden)


def test_bytes_planted_in_the_database_are_found_among_kept_ones(store: Store, path: Path) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "bob")], MODEL)
    erasure = store.subjects.erase("ada")
    with closing(sqlite3.connect(path)) as connection:
        value = crop_bytes(2)[:100] + crop_bytes(1)[100:140]
        connection.execute("UPDATE subjects SET details = ?", [f'"{value.hex()}"'])
        connection.commit()
    assert store.search_files(path.parent, erasure.remains).holding == ()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE scratch (left BLOB)")
        connection.execute("INSERT INTO scratch VALUES (?)", [value])
        connection.commit()
    assert store.search_files(path.parent, erasure.remains).holding == (path,)


def test_an_unreadable_file_is_reported(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(store, 1, "ada")
    erasure = store.subjects.erase("ada")
    locked = path.parent / "locked"
    locked.write_bytes(b"?")
    opened = Path.open

    # Root may read anything.
    def refuse(self: Path, *arguments: str) -> object:
        if self == locked:
            raise PermissionError("no")
        return opened(self, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    search = store.search_files(path.parent, erasure.remains)
    assert (search.holding, search.unreadable) == ((), (locked,))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere locks belong to a handle, not to a process")
def test_a_search_keeps_sqlites_locks(path: Path, journal: str) -> None:
    """A process loses its locks on a file when it closes any descriptor of it."""
    with Store.create(path) as store:
        enrol(store, 1, "ada")
        with store._database.write():
            for file in path.parent.iterdir():
                with store._database.raw.open(file) as opened:
                    opened.read()
            assert other_process_can_write(path) is False
        assert other_process_can_write(path) is True


def other_process_can_write(path: Path) -> bool:
    code = (
        "import sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "try:\n    connection.execute('BEGIN IMMEDIATE')\nexcept sqlite3.OperationalError:\n    sys.exit(3)"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0
