"""An encrypted database: the same behaviour, nothing readable in its files, clear messages about keys and damage."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.encrypted import KEY, OTHER_KEY, showing
from tests.storage.builders import MODEL, crop_bytes, enrol, file_names, request, unit_vector
from twindex.encryption.keys import GalleryKey
from twindex.errors import EncryptionKeyError, IntegrityError, UsageError
from twindex.storage import APPLICATION_ID, Store

pytestmark = pytest.mark.encryption

NAME = "Ottoline Quartermaine"


@pytest.fixture
def encrypted(path: Path) -> Iterator[Store]:
    with Store.create(path, key=KEY) as store:
        yield store


def closed(path: Path, faces: int = 3) -> Path:
    with Store.create(path, key=KEY) as store:
        store.references.enroll_many([request(number, f"{NAME} {number}") for number in range(faces)], MODEL)
    return path


def shown(folder: Path, faces: int) -> list[str]:
    secrets = [part for number in range(faces) for part in (unit_vector(number).tobytes(), crop_bytes(number))]
    named = [file.name for file in folder.iterdir() if NAME.encode() in file.read_bytes()]
    return sorted({*showing(folder, secrets), *named})


def test_the_search_finds_names_in_an_unencrypted_database(path: Path, wal: None) -> None:
    with Store.create(path) as store:
        enrol(store, 0, NAME)
        assert shown(path.parent, 1) == [f"{path.name}-wal"]
    assert shown(path.parent, 1) == [path.name]


@pytest.mark.parametrize("mode", ["wal", "truncate"])
def test_neither_the_database_nor_its_journal_holds_readable_data(
    path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: mode)
    journal = path.with_name(f"{path.name}-{'wal' if mode == 'wal' else 'journal'}")
    with Store.create(path, key=KEY) as store:
        for number in range(4):
            enrol(store, number, f"{NAME} {number}")
        with store._database.write() as connection:
            # With so small a cache, SQLite writes to the journal and to the database before the commit.
            connection.exec_driver_sql("PRAGMA cache_size = 1")
            connection.exec_driver_sql("UPDATE samples SET quality = quality + 1")
            connection.exec_driver_sql("UPDATE templates SET vector = vector")
            assert journal.stat().st_size > 4096
            assert shown(path.parent, 4) == []
        store.subjects.erase(f"{NAME} 0")
        assert shown(path.parent, 4) == []
        assert store.check() == []
    assert shown(path.parent, 4) == []


def test_the_settings_are_those_of_an_unencrypted_database(encrypted: Store) -> None:
    with encrypted._database.read() as connection:

        def setting(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

        names = ("application_id", "foreign_keys", "temp_store", "synchronous", "secure_delete", "cache_size")
        assert [setting(name) for name in names] == [APPLICATION_ID, 1, 2, 2, 1, -32_768]
        assert setting("cipher_status") == "1"
        assert setting("integrity_check") == "ok"
        assert connection.exec_driver_sql("PRAGMA cipher_settings").scalars().all() == [
            "PRAGMA kdf_iter = 256000;",
            "PRAGMA cipher_page_size = 4096;",
            "PRAGMA cipher_use_hmac = 1;",
            "PRAGMA cipher_plaintext_header_size = 0;",
            "PRAGMA cipher_hmac_algorithm = HMAC_SHA512;",
            "PRAGMA cipher_kdf_algorithm = PBKDF2_HMAC_SHA512;",
        ]


def test_sqlciphers_sqlite_has_a_safe_log(encrypted: Store) -> None:
    with encrypted._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_writer_takes_its_lock_at_once(encrypted: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database._BUSY_SECONDS", 0.01)
    with encrypted._database.write(), Store.open(path, key=KEY, read_only=True) as other:
        assert other.references.count() == 0
        with pytest.raises(UsageError, match="another process is reading or writing"):
            Store.open(path, key=KEY).subjects.rename("a", "b")


def test_an_encrypted_gallery_is_the_same_after_reopening(path: Path) -> None:
    closed(path)
    for read_only in (False, True):
        with Store.open(path, key=KEY, read_only=read_only) as store:
            _, vectors = store.references.vectors(MODEL, [1, 2, 3])
            assert [vector.tobytes() for vector in vectors] == [unit_vector(number).tobytes() for number in range(3)]
            assert store.references.crop(2) == crop_bytes(1)
            assert store.check() == []


def test_threads_share_an_encrypted_gallery(encrypted: Store) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda number: enrol(encrypted, number, f"subject {number}"), range(40)))
    assert sorted(enrolment.reference or 0 for enrolment in done) == list(range(1, 41))
    assert encrypted.check() == []


def test_a_log_that_a_killed_writer_left_is_read(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    with Store.create(path, key=KEY) as writer:
        enrol(writer, 1, "ada")
        for file in path.parent.glob(f"{path.name}*"):
            (folder / file.name).write_bytes(file.read_bytes())
    assert (folder / f"{path.name}-wal").stat().st_size > 0
    with Store.open(folder / path.name, read_only=True, key=KEY) as store:
        assert store.references.vectors(MODEL, [1])[1].tobytes() == unit_vector(1).tobytes()
        assert store.check() == []


def test_what_a_killed_writer_left_in_a_journal_is_undone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "truncate")
    journal = path.with_name(f"{path.name}-journal")
    with Store.create(path, key=KEY) as store:
        store.references.enroll_many([request(number, "ada", crop_length=20_000) for number in range(10)], MODEL)
        with store._database.write() as connection:
            connection.exec_driver_sql("PRAGMA cache_size = 2")
            connection.exec_driver_sql("UPDATE samples SET crop = zeroblob(20000), crop_sha256 = NULL")
            left = {file: file.read_bytes() for file in (path, journal)}
    for file, content in left.items():
        file.write_bytes(content)
    with Store.open(path, read_only=True, key=KEY) as store:
        assert store.references.crop(10) == crop_bytes(9, 20_000)
        assert store.check() == []


def test_the_environment_gives_the_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_KEY", KEY.secret.decode())
    closed(path)
    with Store.open(path) as store:
        assert store.sealer is not None
        assert store.references.count() == 3
    monkeypatch.delenv("TWINDEX_KEY")
    with pytest.raises(EncryptionKeyError, match="is encrypted: give its key in TWINDEX_KEY"):
        Store.open(path)


def test_a_wrong_key_changes_nothing_and_is_not_damage(path: Path) -> None:
    before = closed(path).read_bytes()
    for key in (OTHER_KEY, GalleryKey(b"correct horse battery staple", "a phrase")):
        with pytest.raises(EncryptionKeyError, match="is not what the gallery's database"):
            Store.open(path, key=key)
    assert path.read_bytes() == before
    assert file_names(path.parent) == [path.name]


def test_a_key_for_a_plain_gallery_is_refused(path: Path) -> None:
    Store.create(path).close()
    with pytest.raises(EncryptionKeyError, match="is not encrypted, but there is a key from the test"):
        Store.open(path, key=KEY)


def test_plain_sqlite_finds_nothing_to_read(path: Path) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="file is not a database"):
        sqlite3.connect(closed(path)).execute("SELECT * FROM subjects")


@pytest.mark.parametrize("length", [200, 4095])
def test_a_file_shorter_than_a_page_is_not_an_empty_gallery(path: Path, length: int) -> None:
    content = closed(path).read_bytes()[:length]
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"damaged|not a SQLite database"):
        Store.open(path, key=KEY)
    assert path.read_bytes() == content


def test_a_database_with_the_right_key_that_is_not_a_gallery_is_refused(path: Path) -> None:
    with Store.create(path, key=KEY) as store, store._database.write() as connection:
        connection.exec_driver_sql("PRAGMA application_id = 7")
    with pytest.raises(IntegrityError, match="not a gallery: expected application id 0x54776478, got 0x7"):
        Store.open(path, key=KEY)


def test_a_file_with_only_the_first_bytes_is_damaged(path: Path) -> None:
    path.write_bytes(closed(path).read_bytes()[:16])
    with pytest.raises(IntegrityError, match="is not a SQLite database"):
        Store.open(path, key=KEY)


def test_any_flipped_bit_after_the_header_is_found(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = closed(path, faces=12).read_bytes()
    pages = len(content) // 4096
    for page in range(pages):
        damaged = bytearray(content)
        damaged[page * 4096 + 2000] ^= 1
        path.write_bytes(damaged)
        try:
            with Store.open(path, key=KEY, read_only=True) as store:
                findings = [damage.text for damage in store.check()]
        except IntegrityError as error:
            findings = [str(error)]
        assert any("damaged" in text or "not a SQLite database" in text for text in findings), page
    assert capfd.readouterr().err == ""


def test_a_changed_first_page_with_the_right_key_is_damage(path: Path) -> None:
    damaged = bytearray(closed(path).read_bytes())
    damaged[20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(IntegrityError, match="restore a backup"):
        Store.open(path, key=KEY)
