"""A copy shows one moment, whatever others write meanwhile."""

import sqlite3
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, enrol, request
from twindex.errors import TwindexError
from twindex.storage import Store


def empty(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.usefixtures("wal")
def test_later_writes_are_not_in_the_copy(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    class Slow(sqlite3.Connection):
        """Copies page by page, and lets another process enrol after the first page."""

        def backup(self, target: sqlite3.Connection, *, pages: int) -> None:
            def enrol_once(status: int, remaining: int, total: int) -> None:
                if not begun:
                    begun.append(remaining)
                    with Store.open(path) as other:
                        enrol(other, 900, "late")

            super().backup(target, pages=1, progress=enrol_once)

    with Store.create(path) as store:
        store.references.enroll_many([request(number, "ada") for number in range(50)], MODEL)
        before = store.summary()
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, factory=Slow, **options))
        store.copy_to(empty(tmp_path / "copy.sqlite"))
        monkeypatch.undo()
        assert store.summary().references == 51
    assert begun[0] > 10
    with Store.open(tmp_path / "copy.sqlite", read_only=True) as copy:
        assert copy.summary() == before
        assert (copy.check(), copy.inconsistencies()) == ([], [])


@pytest.mark.usefixtures("wal")
def test_a_copy_is_complete_in_one_file(path: Path, tmp_path: Path) -> None:
    with Store.create(path) as store:
        enrol(store, 1, "ada")
        store.copy_to(empty(tmp_path / "copy.sqlite"))
        assert (tmp_path / "gallery.sqlite-wal").stat().st_size > 0
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.sqlite"]
    assert (tmp_path / "copy.sqlite").read_bytes()[18:20] == b"\x01\x01"  # no write-ahead log is needed to read it


def test_a_copy_that_cannot_be_written_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TwindexError, match=r"none.*cannot be opened"):
        store.copy_to(tmp_path / "none" / "copy.sqlite")
