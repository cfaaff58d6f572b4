"""Opening a gallery without changing anything, with either journal."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, crop_bytes, enrol, file_names, request, unit_vector
from twindex.errors import UsageError
from twindex.storage import Store


@pytest.fixture(params=["truncate", "wal"])
def closed_gallery(path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: request.param)
    with Store.create(path) as store:
        enrol(store, 1, "ada")
    return path


def test_reading_works_and_writing_is_refused(closed_gallery: Path) -> None:
    with Store.open(closed_gallery, read_only=True) as store:
        assert store.references.vectors(MODEL, [1])[1].tobytes() == unit_vector(1).tobytes()
        assert store.check() == []
        with pytest.raises(UsageError, match="opened read-only; open it for writing"):
            enrol(store, 2, "bob")
        assert store.references.count() == 1


def test_reading_in_a_folder_that_cannot_be_written(closed_gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so the system's answer is replaced too.
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    closed_gallery.parent.chmod(0o555)
    before = file_names(closed_gallery.parent)
    try:
        with Store.open(closed_gallery, read_only=True) as store:
            assert store.subjects.show("ada").references[0].reference == 1
            assert file_names(closed_gallery.parent) == before
    finally:
        closed_gallery.parent.chmod(0o755)


@pytest.fixture
def cut_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    """The content of the gallery's files, by path, after a kill in the middle of a commit.

    The gallery itself is whole: one face enrolled, nothing pending.
    """
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "truncate")
    with Store.create(path) as store:
        store.references.enroll_many([request(number, "ada", crop_length=20_000) for number in range(10)], MODEL)
    journal = path.with_name(f"{path.name}-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as killed:
        # With a cache of a few pages, SQLite writes to the journal and to the database before the commit.
        killed.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 2; BEGIN IMMEDIATE")
        killed.execute("UPDATE samples SET crop = zeroblob(20000), crop_sha256 = NULL")
        left = {file: file.read_bytes() for file in (path, journal)}
        killed.execute("ROLLBACK")
    return left


def leave(files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        file.write_bytes(content)


def test_what_a_killed_writer_left_is_undone_on_opening(path: Path, cut_short: dict[Path, bytes]) -> None:
    leave(cut_short)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as plain:
        with pytest.raises(sqlite3.OperationalError, match="readonly") as refused:
            plain.execute("SELECT count(*) FROM samples")
        assert refused.value.sqlite_errorname == "SQLITE_READONLY_ROLLBACK"
    with Store.open(path, read_only=True) as store:
        assert store.check() == []
        assert store.references.crop(10) == crop_bytes(9, 20_000)
        with pytest.raises(UsageError, match="opened read-only; open it for writing"):
            enrol(store, 20, "bob")


def test_a_writer_killed_while_somebody_reads_is_undone_too(path: Path, cut_short: dict[Path, bytes]) -> None:
    with Store.open(path, read_only=True) as store:
        assert store.references.crop(1) == crop_bytes(0, 20_000)
        leave(cut_short)
        assert store.references.crop(10) == crop_bytes(9, 20_000)
        assert store.check() == []


def test_a_killed_writer_is_reported_if_nothing_can_be_written(
    path: Path, cut_short: dict[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(cut_short)
    # Root may write anywhere, so every connection is made read-only.
    monkeypatch.setattr(
        "twindex.storage.sqlite.database.connection_uri", lambda path, read_only: f"{path.as_uri()}?mode=ro"
    )
    with pytest.raises(UsageError, match=r"killed while writing.*make the file and its folder writable"):
        Store.open(path, read_only=True)
    assert path.read_bytes() == cut_short[path]


def test_a_log_that_a_killed_writer_left_is_read(path: Path, wal: None, tmp_path: Path) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    with Store.create(path) as writer:
        enrol(writer, 1, "ada")
        for file in path.parent.glob(f"{path.name}*"):
            (folder / file.name).write_bytes(file.read_bytes())
    with Store.open(folder / path.name, read_only=True) as store:
        assert store.references.vectors(MODEL, [1])[1].tobytes() == unit_vector(1).tobytes()
        assert store.check() == []


def test_a_read_only_store_sees_what_is_committed_meanwhile(
    path: Path, wal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A log beside the database means that another process may be writing, so the file is not opened as immutable.
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    with Store.create(path) as writer:
        enrol(writer, 1, "ada")
        with Store.open(path, read_only=True) as reader:
            assert reader.references.count() == 1
            enrol(writer, 2, "bob")
            assert reader.references.count() == 2
