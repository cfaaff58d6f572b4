"""Another key for a gallery's database: the whole file is encrypted with it, or nothing changes."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.encrypted import KEY, OTHER_KEY, showing
from tests.storage.builders import MODEL, crop_bytes, enrol, file_names, request, unit_vector
from twindex.encryption.keys import GalleryKey
from twindex.errors import EncryptionKeyError, IntegrityError, UsageError
from twindex.storage import GenerationSpec, Snapshot, Store
from twindex.storage.rekeying import rekey_database
from twindex.storage.sqlite.gallery_lock import GalleryLock

pytestmark = pytest.mark.encryption

FACES = 6


def nothing() -> None:
    """Nothing to discard."""


def made(path: Path, key: GalleryKey | None) -> Path:
    """A gallery of six faces, one of them erased, with a snapshot on record."""
    with Store.create(path, key=key, generation=GenerationSpec(MODEL, "Flat")) as store:
        store.references.enroll_many([request(number, f"subject {number}") for number in range(FACES)], MODEL)
        store.subjects.erase(f"subject {FACES - 1}")
        revision = store.changes.revision()
        (path.parent / "a.twdx").touch()
        assert store.generations.record_snapshot(1, Snapshot("a.twdx", 1, "00", revision, FACES - 1), path.parent)
        (path.parent / "a.twdx").unlink()
    return path


def assert_whole(path: Path, key: GalleryKey | None) -> None:
    with Store.open(path, key=key) as store:
        assert store.check() == []
        ids = list(range(1, FACES))
        found, vectors = store.references.vectors(MODEL, ids)
        assert found.tolist() == ids
        assert [vector.tobytes() for vector in vectors] == [
            unit_vector(number).tobytes() for number in range(FACES - 1)
        ]
        assert store.references.crop(1) == crop_bytes(0)
        assert [change.kind for change in store.changes.since(0)] == ["enrolled"] * FACES + ["erased"]
        # The id of the erased reference is not reused.
        assert enrol(store, 100, "new").reference == FACES + 1


def secrets() -> list[bytes]:
    return [part for number in range(FACES) for part in (unit_vector(number).tobytes(), crop_bytes(number))]


@pytest.mark.parametrize(
    ("present", "wanted"),
    [(None, KEY), (KEY, OTHER_KEY), (KEY, KEY), (KEY, None)],
    ids=["first", "new", "same", "none"],
)
def test_everything_is_readable_with_the_new_key(
    path: Path, present: GalleryKey | None, wanted: GalleryKey | None
) -> None:
    with Store.open(made(path, present), key=present) as store:
        gallery_id = store.gallery().gallery_id
    rekey_database(path, present, wanted, nothing)
    assert set(file_names(path.parent)) <= {path.name, f"{path.name}-journal"}
    assert path.stat().st_mode & 0o777 == 0o600
    with Store.open(path, key=wanted) as store:
        assert store.gallery().gallery_id == gallery_id
        active = store.generations.active()
        assert active is not None
        assert active.snapshot is None
        row = store.audit.rows()[-1]
        assert (row.action, row.details) == (
            "rekey",
            {"was_encrypted": present is not None, "encrypted": wanted is not None},
        )
    assert (showing(path.parent, secrets()) == []) is (wanted is not None)
    assert_whole(path, wanted)
    if present != wanted:
        with pytest.raises(EncryptionKeyError, match=r"key|encrypted"):
            Store.open(path, key=present)


def test_after_a_rekeying_a_killed_writers_journal_shows_nobody(path: Path) -> None:
    """The journal holds pages, but until it is synced its header is zero, and SQLite neither applies nor removes it."""
    journal = made(path, None).with_name(f"{path.name}-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as killed:
        killed.execute("PRAGMA journal_mode = TRUNCATE")
        killed.execute("BEGIN IMMEDIATE")
        killed.execute("UPDATE templates SET vector = zeroblob(64)")
        left = journal.read_bytes()
        killed.execute("ROLLBACK")
    journal.write_bytes(left)
    assert journal.name in showing(path.parent, secrets())
    rekey_database(path, None, KEY, nothing)
    assert showing(path.parent, secrets()) == []
    assert_whole(path, KEY)


def test_a_kill_could_leave_nothing_beside_the_database(path: Path) -> None:
    with Store.create(path) as store:
        faces = [request(number, "ada", crop_length=20_000) for number in range(300)]
        store.references.enroll_many(faces, MODEL)
    seen: set[str] = set()
    over = Event()

    def watch() -> None:
        while not over.is_set():
            seen.update(file_names(path.parent))

    watching = Thread(target=watch)
    watching.start()
    try:
        rekey_database(path, None, KEY, nothing)
    finally:
        over.set()
        watching.join()
    folders = {name for name in seen if name.endswith(".rekey")}
    assert len(folders) == 1
    assert seen - folders <= {path.name, f"{path.name}-journal"}


def test_the_old_file_is_overwritten_in_place(path: Path, tmp_path: Path) -> None:
    made(path, None)
    kept = tmp_path / "kept"
    os.link(path, kept)
    length = kept.stat().st_size
    rekey_database(path, None, KEY, nothing)
    assert kept.read_bytes() == bytes(length)


@pytest.mark.parametrize(("present", "wanted"), [(None, KEY), (KEY, OTHER_KEY)])
def test_a_gallery_in_use_is_left_alone(path: Path, present: GalleryKey | None, wanted: GalleryKey) -> None:
    before = made(path, present).read_bytes()
    with (
        Store.open(path, key=present, read_only=True),
        pytest.raises(UsageError, match=r"Another program has the gallery in .* open; end it"),
    ):
        rekey_database(path, present, wanted, nothing)
    assert path.read_bytes() == before
    rekey_database(path, present, wanted, nothing)
    assert_whole(path, wanted)


def test_a_gallery_cannot_be_opened_during_a_rekeying(path: Path) -> None:
    refused = []

    def use() -> None:
        with pytest.raises(UsageError, match="is being given another key; try again"):
            Store.open(path)
        refused.append(True)

    rekey_database(made(path, None), None, KEY, use)
    assert refused == [True]


def test_a_rekeying_that_fails_leaves_the_old_gallery(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise OSError("No space left on device")

    made(path, None)
    for place in ("_copy", "_refuse_unsound", "make_private_file"):
        with monkeypatch.context() as patch:
            patch.setattr(f"twindex.storage.rekeying.{place}", stop)
            with pytest.raises(OSError, match="No space left"):
                rekey_database(path, None, KEY, nothing)
        assert not list(path.parent.glob(".*"))
    with pytest.raises(OSError, match="No space left"):
        rekey_database(path, None, KEY, stop)
    assert_whole(path, None)


def test_leftovers_of_a_kill_are_removed_by_the_next_writer(path: Path) -> None:
    left = path.with_name(f".{path.name}.0123456789abcdef.rekey")
    made(path, None)
    left.mkdir()
    (left / path.name).write_bytes(b"half a copy")
    with Store.open(path, read_only=True):
        assert left.exists()
    Store.open(path).close()
    assert not left.exists()


def test_a_damaged_gallery_is_refused_and_left_unchanged(path: Path) -> None:
    with Store.open(made(path, KEY), key=KEY) as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE templates SET vector = zeroblob(64) WHERE id = 2")
    before = path.read_bytes()
    with pytest.raises(
        IntegrityError, match=r"damaged and was left unchanged: The template of reference 2.*`twindex doctor"
    ):
        rekey_database(path, KEY, OTHER_KEY, nothing)
    with Store.open(path, key=KEY) as store:
        assert store.references.count() == FACES - 1
    assert len(path.read_bytes()) == len(before)


def test_keys_that_do_not_fit_are_refused(path: Path) -> None:
    made(path, KEY)
    with pytest.raises(EncryptionKeyError, match="The key from the other test is not what"):
        rekey_database(path, OTHER_KEY, KEY, nothing)
    with pytest.raises(EncryptionKeyError, match="is encrypted: give its key"):
        rekey_database(path, None, OTHER_KEY, nothing)
    assert_whole(path, KEY)


def test_the_lock_of_a_folder(tmp_path: Path) -> None:
    first, second = GalleryLock(tmp_path, "shared"), GalleryLock(tmp_path, "shared")
    first.close()
    first.close()
    with pytest.raises(UsageError, match="Another program has the gallery"):
        GalleryLock(tmp_path, "exclusive")
    second.close()
    alone = GalleryLock(tmp_path, "exclusive")
    with pytest.raises(UsageError, match="is being given another key"):
        GalleryLock(tmp_path, "shared")
    alone.close()
    GalleryLock(tmp_path, "shared").close()
    with pytest.raises(UsageError, match="cannot be read"):
        GalleryLock(tmp_path / "nowhere", "shared")


def test_without_locks_no_process_gets_an_exclusive_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.gallery_lock.lock_folder", lambda folder, kind: None)
    GalleryLock(tmp_path, "shared").close()
    with pytest.raises(UsageError, match="cannot be locked"):
        GalleryLock(tmp_path, "exclusive")
