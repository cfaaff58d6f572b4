"""Archives that are refused, by error code, without leaving anything behind."""

import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.archive.builders import Entries, make_gallery, read_entries, resealed, sealed, with_manifest
from tests.encrypted import KEY, OTHER_KEY
from tests.storage.builders import MODEL
from twindex.archive.container import check_archive
from twindex.archive.exporting import export_gallery
from twindex.archive.importing import import_gallery
from twindex.archive.manifest import LARGEST_MANIFEST, decode_manifest, encode_manifest
from twindex.config import DATABASE
from twindex.embedder.model.registry import find_model
from twindex.encryption.keys import GalleryKey
from twindex.errors import ARCHIVE_REASONS, ArchiveError, EncryptionKeyError, ModelMismatchError, UsageError
from twindex.files.work_folder import work_folders
from twindex.storage import Store


def refused(archive: bytes, folder: Path, code: str, match: str) -> None:
    """Check that the archive is refused with that code, and that nothing is left besides it."""
    file = folder / "archive"
    file.write_bytes(archive)
    with pytest.raises(ArchiveError, match=match) as error:
        import_gallery(file, folder / "gallery")
    assert error.value.code == code
    assert error.value.exit_code == 6
    assert [path.name for path in folder.iterdir()] == ["archive"]


def entry(name: str, **changed: object) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    for attribute, value in changed.items():
        setattr(made, attribute, value)
    return made


def with_database(archive: bytes, folder: Path, *statements: str) -> bytes:
    """The archive with a database that a stranger changed, and everything else adapted to it."""
    entries = read_entries(archive)
    database = folder / "changed.sqlite"
    database.write_bytes({entry.filename: content for entry, content in entries}["gallery.sqlite"])
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        for statement in statements:
            opened.execute(statement)
    content = database.read_bytes()
    database.unlink()
    return with_file(entries, content)


def with_file(entries: Entries, content: bytes) -> bytes:
    replaced = [(entry, content if entry.filename == "gallery.sqlite" else old) for entry, old in entries]

    def describe(manifest: dict[str, Any]) -> None:
        manifest["files"][0] |= {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    return with_manifest(sealed(replaced), describe)


def test_every_reason_is_known() -> None:
    with pytest.raises(ValueError, match="Unknown reason 'other'"):
        ArchiveError("other", "text")
    assert len(set(ARCHIVE_REASONS)) == 6


@pytest.mark.parametrize("content", [b"", b"a", b"PK\x03\x04" + bytes(500), b"text " * 100, b"SQLite format 3\0" * 50])
def test_a_file_that_is_not_an_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(content, tmp_path, "not_an_archive", "not a gallery archive")


def test_a_plain_zip_file_is_not_an_archive(exported: bytes, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for one, content in read_entries(exported):
            opened.writestr(one.filename, content)
    refused(stream.getvalue(), tmp_path, "not_an_archive", "does not end as an archive does")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.999])
def test_a_flipped_bit_and_a_cut_are_noticed(exported: bytes, tmp_path: Path, share: float) -> None:
    place = int(share * (len(exported) - 100))
    flipped = bytearray(exported)
    flipped[place] ^= 0x20
    refused(bytes(flipped), tmp_path, "archive_changed", "SHA-256 at its end differs")
    refused(exported[:place], tmp_path, "not_an_archive", "not a gallery archive")


@pytest.mark.parametrize(
    "name",
    ["../gallery.sqlite", "/etc/passwd", "a/../../b", "C:gallery.sqlite", "C:\\gallery.sqlite", "..\\b", "model/"],
)
def test_an_entry_outside_the_folder_is_refused(exported: bytes, tmp_path: Path, name: str) -> None:
    refused(
        sealed([*read_entries(exported), (entry(name), b"x")]), tmp_path, "unsafe_entry", "written outside its folder"
    )


def test_a_link_is_refused(exported: bytes, tmp_path: Path) -> None:
    link = entry("model/card.json", create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16)
    refused(sealed([*read_entries(exported), (link, b"/etc/passwd")]), tmp_path, "unsafe_entry", "is a link")


def test_two_entries_with_the_same_name_are_refused(exported: bytes, tmp_path: Path) -> None:
    entries = read_entries(exported)
    with pytest.warns(UserWarning, match="Duplicate name"):
        doubled = sealed([*entries, entries[1]])
    refused(doubled, tmp_path, "unsafe_entry", "two entries of one name")
    other_case = sealed([*entries, (entry("GALLERY.sqlite"), b"")])
    refused(other_case, tmp_path, "unsafe_entry", "two entries of one name")


def test_unlisted_and_missing_entries_are_refused(exported: bytes, tmp_path: Path) -> None:
    entries = read_entries(exported)
    refused(sealed([*entries, (entry("more"), b"x")]), tmp_path, "archive_manifest", "other files than its manifest")
    refused(sealed(entries[:1]), tmp_path, "archive_manifest", "other files than its manifest")
    refused(sealed(entries[1:]), tmp_path, "archive_manifest", "has no manifest.json")


def test_a_bomb_is_refused_before_it_is_unpacked(exported: bytes, tmp_path: Path) -> None:
    entries = read_entries(exported)
    packed = entry("gallery.sqlite", compress_type=zipfile.ZIP_DEFLATED)
    bomb = sealed([entries[0], (packed, bytes(50_000_000))])
    assert len(bomb) < 100_000
    refused(bomb, tmp_path, "unsafe_entry", "is compressed")


def test_entries_larger_than_the_file_are_refused(exported: bytes, tmp_path: Path) -> None:
    # Claim a gigabyte for both sizes in the directory's entry of the database.
    data = bytearray(exported)
    place = data.rindex(b"gallery.sqlite") - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 20 : place + 28] = (1 << 30).to_bytes(4, "little") * 2
    refused(resealed(bytes(data)), tmp_path, "archive_too_large", "claims 107")


def test_a_directory_of_many_entries_is_refused(tmp_path: Path) -> None:
    many = sealed([(entry(f"e{number}"), b"") for number in range(5_000)])
    refused(many, tmp_path, "not_an_archive", "directory of 5000 entries")


def test_bytes_before_the_first_entry_are_refused(exported: bytes, tmp_path: Path) -> None:
    refused(resealed(b"#!/bin/sh\n" + exported), tmp_path, "not_an_archive", "not a gallery archive")


def test_a_manifest_that_is_too_long_is_refused(exported: bytes, tmp_path: Path) -> None:
    entries = read_entries(exported)
    longer = sealed([(entries[0][0], b" " * (LARGEST_MANIFEST + 1)), entries[1]])
    refused(longer, tmp_path, "archive_too_large", "too long")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.update(schema=2), "expected schema 1, got 2"),
        (lambda m: m.update(more=1), "missing or unknown keys: 'more'"),
        (lambda m: m["gallery"].pop("model"), "missing or unknown keys: 'model'"),
        (lambda m: m["gallery"].update(references=-1), "whole number"),
        (lambda m: m["gallery"].update(references=True), "expected gallery.references to be a whole number, got True"),
        (lambda m: m["gallery"].update(model="../x"), "64 hex digits"),
        (lambda m: m["files"].append(dict(m["files"][0])), "lists the files"),
        (lambda m: m["files"][0].update(name="../gallery.sqlite"), "lists the files"),
        (lambda m: m.update(files={}), "expected files to be a list of objects"),
        (lambda m: m.update(created="a\x1b[2Jb"), "printable text"),
    ],
)
def test_manifests_that_are_refused(
    exported: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], object], match: str
) -> None:
    refused(with_manifest(exported, change), tmp_path, "archive_manifest", match)


@pytest.mark.parametrize("content", [b"", b"[]", b"nul", b"[" * 100_000, b'{"schema": NaN}', b"\xff", b"1" * 5_000])
def test_manifests_that_are_not_objects_are_refused(content: bytes) -> None:
    with pytest.raises(ArchiveError, match="not what Twindex writes") as error:
        decode_manifest(content)
    assert error.value.code == "archive_manifest"


def test_a_manifest_is_read_as_it_was_written(exported: bytes) -> None:
    manifest = check_archive(io.BytesIO(exported))
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_other_counts_and_hashes_are_refused(exported: bytes, tmp_path: Path) -> None:
    def fewer(manifest: dict[str, Any]) -> None:
        manifest["gallery"]["references"] = 2

    refused(with_manifest(exported, fewer), tmp_path, "archive_database", "references is 3, its manifest says 2")

    def other(manifest: dict[str, Any]) -> None:
        manifest["gallery"]["gallery_id"] = "00000000-0000-4000-8000-000000000001"

    refused(
        with_manifest(exported, other), tmp_path, "archive_database", r"gallery_id is .*, its manifest says 00000000"
    )

    def hashed(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["sha256"] = "0" * 64

    refused(with_manifest(exported, hashed), tmp_path, "archive_changed", "gallery.sqlite is not what its manifest")

    def longer(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["length"] += 1

    refused(with_manifest(exported, longer), tmp_path, "archive_changed", "gallery.sqlite is not what its manifest")


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE templates SET vector = x'00' WHERE id = 2", "template of reference 2 under"),
        ("UPDATE templates SET vector = 'abcd' WHERE id = 2", "template of reference 2 under"),
        ("UPDATE samples SET crop = 'text' WHERE id = 2", "crop of sample 2"),
        ("PRAGMA application_id = 1", "not a gallery"),
        ("PRAGMA user_version = 99", "a newer Twindex made it"),
        ("PRAGMA user_version = -1", "which does not belong to a gallery"),
        (
            "CREATE TRIGGER t AFTER UPDATE ON generations BEGIN DELETE FROM subjects; END",
            "a trigger 't', which does not belong to a gallery",
        ),
        ("CREATE VIEW v AS SELECT 1", "a view 'v', which does not belong to a gallery"),
        ("DROP INDEX references_subject", "index 'references_subject' is missing"),
        ("DROP TABLE job_items", "job_items.* is missing from the database"),
        (
            "INSERT INTO samples VALUES (9, 'aa', 'b', 0, NULL, 1.0, NULL, NULL)",
            "1 captured faces belong to no reference",
        ),
        ("UPDATE samples SET quality = 'high' WHERE id = 2", "samples.quality are not of type real"),
        ("UPDATE samples SET face = '{' WHERE id = 2", "damaged JSON"),
        ("UPDATE samples SET face = '{}' WHERE id = 2", "'samples' cannot be read"),
        ("UPDATE subjects SET created = 'yesterday'", "the time 'yesterday', expected ISO 8601"),
        ("UPDATE subjects SET name = '' WHERE id = 2", "'subjects' cannot be read"),
        ("UPDATE gallery SET threshold = '{\"probability\": 2}'", "'gallery' cannot be read"),
        ("UPDATE \"references\" SET expires = 'some day'", "the time 'some day', expected ISO 8601"),
        ("UPDATE \"references\" SET expires = '2030-01-01T00:00:00'", "expected ISO 8601 in UTC"),
        (
            "INSERT INTO audit SELECT max(id) + 1, '2030-01-01T00:00:00+00:00', 'a', 'b', '[]', '{ 1' FROM audit",
            "damaged JSON",
        ),
        (
            "INSERT INTO audit SELECT max(id) + 1, '2030-01-01T00:00:00+00:00', 'a', 'b', '[]', '[7]' FROM audit",
            "'audit' cannot be read",
        ),
        ("DELETE FROM gallery", "archive's database is refused"),
        (
            'UPDATE generations SET snapshot = \'{"file":"../x","length":1,"sha256":"","revision":1,"count":1}\'',
            "not named by a plain file name",
        ),
        ("DELETE FROM changes WHERE reference = 2", "does not list 1 references"),
        ("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'references'", "counter of references is at 1, but id 4"),
    ],
)
def test_databases_that_are_refused(exported: bytes, tmp_path: Path, statement: str, match: str) -> None:
    refused(with_database(exported, tmp_path, statement), tmp_path, "archive_database", match)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"SQLite format 3\0" + bytes(5_000), b"text" * 2_000])
def test_files_that_are_not_databases_are_refused(exported: bytes, tmp_path: Path, content: bytes) -> None:
    refused(with_file(read_entries(exported), content), tmp_path, "archive_database", "archive's database is refused")


def test_an_older_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "storage" / "schema" / "golden" / "schema_1.sql"
    (tmp_path / "g").mkdir()
    with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as opened:
        opened.executescript(golden.read_text("ascii"))
    with Store.open(tmp_path / "g" / DATABASE):
        pass
    export_gallery(tmp_path / "g", tmp_path / "a")
    made = import_gallery(tmp_path / "a", tmp_path / "copy", without_model=True)
    with Store.open(made.gallery / DATABASE) as copy:
        assert [summary.subject for summary in copy.subjects.list()] == ["ada", "zoë"]


def test_a_gallery_is_never_replaced(exported: bytes, source: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(exported)
    gallery = make_gallery(tmp_path / "g", references=1)
    before = (gallery / DATABASE).read_bytes()
    with pytest.raises(UsageError, match=r"There is a gallery in .* already"):
        import_gallery(tmp_path / "a", gallery)
    assert (gallery / DATABASE).read_bytes() == before


def test_a_gallery_made_meanwhile_is_not_replaced(
    exported: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(exported)

    def meanwhile(*_: object) -> None:
        (tmp_path / "g").mkdir()
        (tmp_path / "g" / DATABASE).write_bytes(b"theirs")

    monkeypatch.setattr("twindex.archive.importing._check_database", meanwhile)
    with pytest.raises(UsageError, match=r"There is a gallery in .* already"):
        import_gallery(tmp_path / "a", tmp_path / "g")
    assert (tmp_path / "g" / DATABASE).read_bytes() == b"theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "g"]


def test_a_folder_with_other_files_may_become_a_gallery(exported: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(exported)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "notes.txt").write_text("mine")
    import_gallery(tmp_path / "a", tmp_path / "g")
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == [DATABASE, "notes.txt"]


def test_a_missing_archive_is_a_usage_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="There is no archive"):
        import_gallery(tmp_path / "none", tmp_path / "g")
    for name in ("pipe", "."):
        with pytest.raises(UsageError, match="is not a regular file; name the file that `twindex export` wrote"):
            import_gallery(tmp_path / name, tmp_path / "g")


@pytest.mark.parametrize("point", ["_check_database", "publish"])
def test_a_killed_import_can_be_repeated(exported: bytes, tmp_path: Path, point: str) -> None:
    (tmp_path / "a").write_bytes(exported)
    code = (
        "import os, signal, sys; from pathlib import Path; from twindex.archive import importing\n"
        f"importing.{point} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "importing.import_gallery(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "a", tmp_path / "g"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(work_folders(tmp_path / "g")) == 1
    import_gallery(tmp_path / "a", tmp_path / "g")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "g"]
    assert [path.name for path in (tmp_path / "g").iterdir()] == [DATABASE]


@pytest.mark.encryption
@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, r"The archive '.*/a' is encrypted: give its key in TWINDEX_KEY, .*TWINDEX_KEY_FILE or --key-file\."),
        (OTHER_KEY, r"The key from TWINDEX_KEY is not what the archive '.*/a' was encrypted with: give its key in"),
    ],
)
def test_without_the_right_key_the_archive_is_named_not_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: GalleryKey | None, message: str
) -> None:
    monkeypatch.setenv("TWINDEX_KEY", KEY.secret.decode())
    export_gallery(make_gallery(tmp_path / "encrypted"), tmp_path / "a")
    monkeypatch.delenv("TWINDEX_KEY")
    if key is not None:
        monkeypatch.setenv("TWINDEX_KEY", key.secret.decode())
    with pytest.raises(EncryptionKeyError, match=message) as error:
        import_gallery(tmp_path / "a", tmp_path / "g")
    assert "partial" not in str(error.value)
    assert not (tmp_path / "g").exists()


def test_a_key_for_an_unencrypted_archive_is_refused(
    exported: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(exported)
    monkeypatch.setenv("TWINDEX_KEY", KEY.secret.decode())
    with pytest.raises(EncryptionKeyError, match=r"The archive '.*/a' is not encrypted, but there is a key"):
        import_gallery(tmp_path / "a", tmp_path / "g")


def test_a_model_installed_with_another_card_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_gallery(make_gallery(tmp_path / "g"), tmp_path / "a", with_model=True)
    edited = tmp_path / "shipped" / "edited"
    shutil.copytree(find_model("default").path, edited)
    card = json.loads((edited / "card.json").read_text("utf-8"))
    (edited / "card.json").write_text(json.dumps({**card, "head_weight": -1.0}), "utf-8")
    monkeypatch.setattr("twindex.embedder.model.registry._shipped_dir", lambda: tmp_path / "shipped")
    message = "archive's model cannot be installed: .* differ in head_weight; .*import with --without-model"
    with pytest.raises(UsageError, match=message):
        import_gallery(tmp_path / "a", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not import_gallery(tmp_path / "a", tmp_path / "copy", without_model=True).model_installed


def test_a_gallery_whose_model_is_not_installed_is_refused(tmp_path: Path) -> None:
    export_gallery(make_gallery(tmp_path / "g", fingerprint=MODEL), tmp_path / "a")
    with pytest.raises(ModelMismatchError, match=rf"model {MODEL}, .*`twindex models install FOLDER`") as error:
        import_gallery(tmp_path / "a", tmp_path / "copy")
    assert error.value.exit_code == 5
    assert not (tmp_path / "copy").exists()
    assert import_gallery(tmp_path / "a", tmp_path / "copy", without_model=True).manifest.summary.model == MODEL


def test_a_model_other_than_the_gallerys_is_refused(tmp_path: Path, random_bundle: Any) -> None:
    export_gallery(make_gallery(tmp_path / "g"), tmp_path / "a", with_model=True)
    replaced: dict[str, bytes] = {
        "model/card.json": (random_bundle.path / "card.json").read_bytes(),
        "model/weights.safetensors": (random_bundle.path / "weights.safetensors").read_bytes(),
    }
    entries = [(entry, replaced.get(entry.filename, old)) for entry, old in read_entries((tmp_path / "a").read_bytes())]

    def describe(manifest: dict[str, Any]) -> None:
        for file in manifest["files"]:
            content = replaced.get(file["name"])
            if content is not None:
                file |= {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    (tmp_path / "b").write_bytes(with_manifest(sealed(entries), describe))
    with pytest.raises(ArchiveError, match="its gallery answers with another"):
        import_gallery(tmp_path / "b", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert json.loads(read_entries((tmp_path / "b").read_bytes())[0][1])["schema"] == 1
