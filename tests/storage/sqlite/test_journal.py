"""Which journal is chosen, and what erasing does to a write-ahead log."""

import sqlite3
from pathlib import Path

import pytest

from tests.storage.builders import crop_bytes, enrol, remnants, unit_vector
from twindex.storage import Store
from twindex.storage.sqlite.journal import journal_mode


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "truncate"),
        ((3, 44, 5), "truncate"),
        ((3, 44, 6), "wal"),
        ((3, 44, 9), "wal"),
        ((3, 45, 0), "truncate"),
        ((3, 50, 6), "truncate"),
        ((3, 50, 7), "wal"),
        ((3, 51, 0), "truncate"),
        ((3, 51, 2), "truncate"),
        ((3, 51, 3), "wal"),
        ((3, 52, 0), "wal"),
        ((4, 0, 0), "wal"),
    ],
)
def test_a_write_ahead_log_only_where_its_bug_is_mended(version: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(version) == mode


def test_the_journal_in_use_is_the_one_chosen(store: Store) -> None:
    with store._database.read() as connection:
        used = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    assert used == journal_mode(sqlite3.sqlite_version_info)


def test_a_log_left_by_a_newer_sqlite_is_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "wal")
        with Store.create(path) as store:
            enrol(store, 1, "ada")
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "truncate")
    with Store.open(path) as store:
        assert store.references.count() == 1
    assert path.read_bytes()[18] == 1


def test_erasing_is_pending_while_somebody_reads_the_log(path: Path, wal: None) -> None:
    with Store.create(path) as store:
        enrol(store, 1, "ada")
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM templates").fetchone()
        assert store.subjects.erase("ada").pending is True
        assert store.finish_erasure() is False
        reader.execute("COMMIT")
        reader.close()
        assert store.finish_erasure() is True
        assert remnants(path.parent, unit_vector(1).tobytes()) == []
        assert remnants(path.parent, crop_bytes(1)) == []


def test_erased_bytes_leave_the_log_at_once_when_nobody_reads(path: Path, wal: None) -> None:
    with Store.create(path) as store:
        enrol(store, 1, "ada")
        assert remnants(path.parent, crop_bytes(1)) == [f"{path.name}-wal"]
        assert store.subjects.erase("ada").pending is False
        assert remnants(path.parent, unit_vector(1).tobytes()) == []
        assert remnants(path.parent, crop_bytes(1)) == []
