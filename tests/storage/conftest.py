"""Fixtures of the storage tests: a real SQLite file for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from twindex.storage import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.create(path) as opened:
        yield opened


@pytest.fixture
def wal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a write-ahead log with any SQLite; the bug that rules it out needs two writers at once."""
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "wal")
