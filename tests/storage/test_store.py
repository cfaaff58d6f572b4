"""Making, opening and refusing gallery databases."""

import os
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, enrol, file_names, unit_vector
from twindex.errors import IntegrityError, UsageError
from twindex.storage import APPLICATION_ID, GenerationSpec, Store, StoredThreshold

THRESHOLD = StoredThreshold(
    probability=0.83, target_fpir=0.003, gallery_size=812, fingerprint=MODEL, method="bound", report={"fnir": [0.1, 2]}
)


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_new_gallery_is_empty_and_has_its_record(path: Path) -> None:
    before = datetime.now(UTC)
    with Store.create(path, keep_crops=False) as store:
        gallery = store.gallery()
        assert store.references.count() == 0
        assert store.subjects.list() == []
        assert store.changes.revision() == 0
        assert store.check() == []
    assert gallery.keep_crops is False
    assert gallery.threshold is None
    assert len(gallery.gallery_id) == 36
    assert before <= gallery.created <= datetime.now(UTC)
    assert gallery.created.utcoffset() == timedelta(0)


def test_stored_values_are_there_after_reopening(path: Path) -> None:
    with Store.create(path) as store:
        gallery_id = store.gallery().gallery_id
        store.set_threshold(THRESHOLD)
        reference = enrol(store, 1, "ada").reference
    with Store.open(path) as store:
        assert store.gallery().gallery_id == gallery_id
        assert store.gallery().threshold == THRESHOLD
        references, vectors = store.references.vectors(MODEL, [reference])
        assert references.tolist() == [reference]
        assert vectors[0].tobytes() == unit_vector(1).tobytes()
        store.set_threshold(None)
        assert store.gallery().threshold is None


def test_create_leaves_one_private_file(path: Path) -> None:
    Store.create(path).close()
    # An emptied journal may stay; nothing else may.
    assert set(file_names(path.parent)) - {f"{path.name}-journal"} == {path.name}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_gallery_has_its_first_generation_before_it_has_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, seen = os.link, []

    def look(source: Path, target: Path) -> None:
        with closing(sqlite3.connect(source)) as connection:
            seen.extend(connection.execute("SELECT fingerprint, index_spec, state FROM generations").fetchall())
        link(source, target)

    monkeypatch.setattr(os, "link", look)
    with Store.create(path, generation=GenerationSpec(MODEL, "Flat")) as store:
        active = store.generations.active()
    assert seen == [(MODEL, "Flat", "active")]
    assert active is not None
    assert (active.fingerprint, active.index_spec, active.activated is not None) == (MODEL, "Flat", True)


def test_a_generation_without_a_fingerprint_makes_no_gallery(path: Path) -> None:
    with pytest.raises(ValueError, match="fingerprint in ASCII"):
        Store.create(path, generation=GenerationSpec("", "Flat"))
    assert file_names(path.parent) == []


def test_create_refuses_an_existing_file_and_leaves_it_alone(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="the file exists"):
        Store.create(path)
    assert path.read_bytes() == b"precious"
    assert file_names(path.parent) == [path.name]


def test_if_two_processes_create_at_once_one_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def other_was_faster(source: Path, target: Path) -> None:
        target.write_bytes(b"the other's gallery")
        link(source, target)

    monkeypatch.setattr(os, "link", other_was_faster)
    with pytest.raises(UsageError, match="the file exists"):
        Store.create(path)
    assert path.read_bytes() == b"the other's gallery"
    assert file_names(path.parent) == [path.name]


def test_leftovers_of_a_killed_creation_do_no_harm(path: Path) -> None:
    (path.parent / f".{path.name}.new").write_bytes(b"half a database")
    with Store.create(path) as store:
        assert store.check() == []


def test_create_works_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(source: Path, target: Path) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", unsupported)
    with Store.create(path) as store:
        assert enrol(store, 1, "ada").reference == 1


def test_create_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="check the folder"):
        Store.create(tmp_path / "nowhere" / "gallery.sqlite")


def test_open_refuses_a_missing_file_and_makes_none(path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Store.open(path)
    assert not path.exists()


def test_open_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "zero length"), (b"SQLite format 3\x00", "header is wrong"), (b"GIF89a" * 100, "header is wrong")],
)
def test_open_refuses_a_file_that_is_not_a_database(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=message):
        Store.open(path)


def test_open_refuses_another_programs_database_and_leaves_it_alone(path: Path) -> None:
    execute(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (x)")
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=f"expected application id {APPLICATION_ID:#x}, got 0x0"):
        Store.open(path)
    assert path.read_bytes() == before


def test_open_refuses_a_newer_schema(path: Path) -> None:
    Store.create(path).close()
    execute(path, "PRAGMA user_version = 999")
    with pytest.raises(IntegrityError, match=r"schema 999.*upgrade Twindex"):
        Store.open(path)


def test_open_refuses_missing_tables(path: Path) -> None:
    Store.create(path).close()
    execute(path, "DROP TABLE changes", "DROP TABLE templates")
    with pytest.raises(IntegrityError, match="is missing the tables changes, templates"):
        Store.open(path)


def test_open_reports_a_damaged_file(path: Path) -> None:
    Store.create(path).close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\x55" * (len(content) - 100)
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="damaged"):
        Store.open(path)


def test_a_closed_store_refuses_and_closes_again(path: Path) -> None:
    store = Store.create(path)
    store.close()
    store.close()
    with pytest.raises(UsageError, match="is closed; open it again"):
        store.gallery()


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20 ü.sqlite"
    with Store.create(path) as store:
        enrol(store, 1, "ada")
    with Store.open(path, read_only=True) as store:
        assert store.references.count() == 1
    assert path.is_file()


def test_every_connection_is_set_up_for_safety(store: Store) -> None:
    with store._database.write() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("foreign_keys", "synchronous", "secure_delete", "busy_timeout", "temp_store")
        }
    assert settings == {"foreign_keys": 1, "synchronous": 2, "secure_delete": 1, "busy_timeout": 30000, "temp_store": 2}
