"""Opening a gallery without changing anything, with either journal."""

import os
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, enrol, file_names, unit_vector
from twindex.errors import UsageError
from twindex.storage import Store


@pytest.fixture(params=["truncate", "wal"])
def closed_gallery(path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("twindex.storage.database.journal_mode", lambda version: request.param)
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
    # Whoever runs the tests as root may write anywhere, so the answer of the system is replaced as well.
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    closed_gallery.parent.chmod(0o555)
    before = file_names(closed_gallery.parent)
    try:
        with Store.open(closed_gallery, read_only=True) as store:
            assert store.subjects.show("ada").references[0].reference == 1
            assert file_names(closed_gallery.parent) == before
    finally:
        closed_gallery.parent.chmod(0o755)


def test_a_read_only_store_sees_what_is_committed_meanwhile(
    path: Path, wal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A log beside the database means that somebody may be writing, so the file is not taken for immutable.
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    with Store.create(path) as writer:
        enrol(writer, 1, "ada")
        with Store.open(path, read_only=True) as reader:
            assert reader.references.count() == 1
            enrol(writer, 2, "bob")
            assert reader.references.count() == 2
