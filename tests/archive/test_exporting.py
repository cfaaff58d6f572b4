"""An archive appears whole or not at all, is consistent while others write, and imports as the same gallery."""

import io
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.archive.builders import make_gallery, read_entries
from tests.storage.builders import MODEL, request
from twindex.archive import exporting
from twindex.archive.container import check_archive
from twindex.archive.exporting import export_gallery
from twindex.archive.importing import import_gallery
from twindex.config import DATABASE
from twindex.embedder.model.registry import find_model
from twindex.errors import IntegrityError, UsageError
from twindex.files.user_folders import models_dir
from twindex.storage import Store


def rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a database except the list of snapshots and the audit's rows on export and import."""
    with closing(sqlite3.connect(database)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        content = {table: sorted(opened.execute(f'SELECT * FROM "{table}"'), key=repr) for table in tables}
    content["audit"] = [row for row in content["audit"] if row[3] not in ("export", "import")]
    content["sqlite_sequence"] = [row for row in content["sqlite_sequence"] if row[0] != "audit"]
    content["generations"] = [row[:-1] for row in content["generations"]]
    return content


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_imported_gallery_is_the_same_one(source: Path, tmp_path: Path) -> None:
    written = export_gallery(source, tmp_path / "a.twindex")
    made = import_gallery(tmp_path / "a.twindex", tmp_path / "deep" / "copy")
    assert rows(tmp_path / "deep" / "copy" / DATABASE) == rows(source / DATABASE)
    assert made.manifest == written.manifest
    assert written.manifest.summary.references == 3
    with Store.open(made.gallery / DATABASE) as copy, Store.open(source / DATABASE, read_only=True) as original:
        assert copy.summary() == original.summary() == written.manifest.summary
        # No id is reused, not even that of the erased reference.
        model = written.manifest.summary.model or ""
        assert copy.references.enroll_many([request(9, "new")], model)[0].reference == 5
    assert names(tmp_path) == ["a.twindex", "deep"]
    assert names(tmp_path / "deep") == ["copy"]


def test_snapshots_are_not_exported(tmp_path: Path) -> None:
    gallery = make_gallery(tmp_path / "g")
    with closing(sqlite3.connect(gallery / DATABASE)) as opened:
        snapshot = '{"file":"a.twdx","length":1,"sha256":"00","revision":4,"count":3,"recall":null}'
        opened.execute("UPDATE generations SET snapshot = ?", (snapshot,))
        opened.commit()
    export_gallery(gallery, tmp_path / "a")
    import_gallery(tmp_path / "a", tmp_path / "copy")
    with Store.open(tmp_path / "copy" / DATABASE) as copy:
        assert [generation.snapshot for generation in copy.generations.list()] == [None]


def test_files_are_for_their_owner_alone(source: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        export_gallery(source, tmp_path / "a")
        import_gallery(tmp_path / "a", tmp_path / "copy")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "copy" / DATABASE).stat().st_mode) == 0o600


def test_a_file_that_exists_is_not_replaced(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        export_gallery(source, tmp_path / "a")
    # Not even one that is made meanwhile.
    real = exporting.write_archive

    def meanwhile(stream: io.BytesIO, *rest: object) -> None:
        real(stream, *rest)  # type: ignore[arg-type]  # passed on as it came
        (tmp_path / "b").write_bytes(b"theirs")

    monkeypatch.setattr(exporting, "write_archive", meanwhile)
    with pytest.raises(UsageError, match="exists already"):
        export_gallery(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"theirs"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("target", ["a", "index/a", "../gallery/a"])
def test_nothing_is_written_into_the_gallery(tmp_path: Path, target: str) -> None:
    gallery = make_gallery(tmp_path / "gallery")
    (gallery / "index").mkdir()
    with pytest.raises(UsageError, match="lies in the gallery's own folder"):
        export_gallery(gallery, gallery / target)


def test_a_gallery_or_a_folder_that_is_missing_is_a_usage_error(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no gallery in"):
        export_gallery(tmp_path / "none", tmp_path / "a")
    with pytest.raises(UsageError, match=r"There is no folder .*make it first"):
        export_gallery(source, tmp_path / "none" / "a")


def test_a_damaged_gallery_is_not_exported(tmp_path: Path) -> None:
    gallery = make_gallery(tmp_path / "g")
    with closing(sqlite3.connect(gallery / DATABASE)) as opened:
        opened.execute("UPDATE templates SET vector = x'00000000' WHERE id = 2")
        opened.commit()
    with pytest.raises(IntegrityError, match=r"was not exported, 1 findings.*Run `twindex doctor --repair`"):
        export_gallery(gallery, tmp_path / "a")
    assert names(tmp_path) == ["g"]


@pytest.mark.parametrize("point", ["described_file", "publish_archive"])
def test_a_kill_leaves_no_archive_and_does_not_hinder_the_next_export(source: Path, tmp_path: Path, point: str) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from twindex.archive import exporting\n"
        f"exporting.{point} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "exporting.export_gallery(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, source, tmp_path / "a"], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = names(tmp_path)
    assert left.startswith(".a.")
    assert left.endswith(".twindex-partial")
    export_gallery(source, tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_kill_after_the_archive_has_its_name_leaves_only_what_the_next_call_removes(
    source: Path, tmp_path: Path
) -> None:
    code = (
        "import os, shutil, signal, sys; from pathlib import Path\n"
        "from twindex.archive.exporting import export_gallery\n"
        "shutil.rmtree = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export_gallery(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, source, tmp_path / "a"], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(names(tmp_path)) == 2
    with pytest.raises(UsageError, match="exists already"):
        export_gallery(source, tmp_path / "a")
    assert names(tmp_path) == ["a"]
    import_gallery(tmp_path / "a", tmp_path / "copy")


def test_an_export_under_way_is_not_disturbed_by_another_of_the_same_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exporting.write_archive

    def meanwhile(stream: io.BytesIO, *rest: object) -> None:
        monkeypatch.setattr(exporting, "write_archive", real)
        os.utime(tmp_path / names(tmp_path)[0], (0, 0))  # one that takes more than an hour
        export_gallery(source, tmp_path / "a")
        (tmp_path / "a").rename(tmp_path / "other")
        real(stream, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(exporting, "write_archive", meanwhile)
    export_gallery(source, tmp_path / "a")
    assert names(tmp_path) == ["a", "other"]


def test_a_full_disk_leaves_nothing(source: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from twindex.archive.exporting import export_gallery\n"
        "from twindex.errors import TwindexError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "try: export_gallery(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except (OSError, TwindexError) as error: print(type(error).__name__)"
    )
    starved = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "a"], capture_output=True, check=False, text=True
    )
    assert starved.stdout.strip() in ("OSError", "UsageError"), starved.stderr
    assert names(tmp_path) == []


def test_the_bytes_do_not_depend_on_the_time(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "same")  # an export adds to the audit of what it exports
    first, second = (
        [
            (entry.date_time, content)
            for entry, content in read_entries(
                export_gallery(gallery, tmp_path / f"of {gallery.name}").path.read_bytes()
            )
            if entry.filename != "manifest.json"
        ]
        for gallery in (source, tmp_path / "same")
    )
    assert first == second


def test_an_archive_beyond_the_limits_of_plain_zip(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What `zipfile` writes above 2 GiB, with a lower limit.
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 1_000)
    written = export_gallery(source, tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    assert b"PK\x06\x06" in data[-200:]
    assert check_archive(io.BytesIO(data)) == written.manifest


def test_a_model_is_exported_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path / "home"))
    gallery = make_gallery(tmp_path / "g")
    written = export_gallery(gallery, tmp_path / "a", with_model=True)
    assert [file.name for file in written.manifest.files] == [
        "gallery.sqlite",
        "model/card.json",
        "model/weights.safetensors",
    ]
    monkeypatch.setattr("twindex.embedder.model.registry._shipped_dir", lambda: tmp_path / "nothing")
    made = import_gallery(tmp_path / "a", tmp_path / "copy")
    assert made.model_installed
    assert [path.name for path in models_dir().iterdir()] == [written.manifest.summary.model]
    assert find_model(written.manifest.summary.model or "").card.fingerprint == written.manifest.summary.model


def test_a_gallery_without_a_model_has_none_to_export(tmp_path: Path) -> None:
    Store.create(tmp_path / "gallery.sqlite").close()
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="no active model"):
        export_gallery(tmp_path, tmp_path.parent / f"{tmp_path.name}-out", with_model=True)
    with pytest.raises(UsageError, match="No model"):
        export_gallery(make_gallery(tmp_path / "g", fingerprint=MODEL), tmp_path / "a", with_model=True)
