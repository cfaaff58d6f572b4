"""A person's export: everything held about them, and nothing about anybody else."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.storage.builders import MODEL, OTHER_MODEL, crop_bytes, enrol, sample, source_sha256, unit_vector
from twindex.errors import UsageError
from twindex.files import export_target
from twindex.storage import EnrolmentRequest, NewItem, Store, subject_export
from twindex.storage.values.terms import Terms


def read(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("subject.json")), files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery" / "gallery.sqlite"


@pytest.fixture
def held(store: Store) -> Store:
    job = store.jobs.create("enroll", {})
    terms = Terms("form 17", datetime(2999, 1, 1, tzinfo=UTC))
    store.jobs.add_items(job.id, [NewItem("caf\udce9.jpg", "ada", terms), ("bob.jpg", "bob")])
    (item, _) = store.jobs.items(job.id)
    wanted = EnrolmentRequest(sample(1, source_name="caf\udce9.jpg"), "ada", unit_vector(1), item.id)
    store.references.enroll_many([wanted], MODEL)
    enrol(store, 2, "bob")
    enrol(store, 3, "a. lovelace")
    store.references.add_templates(OTHER_MODEL, np.array([1]), unit_vector(4)[None])
    store.subjects.rename("a. lovelace", "lady")
    store.subjects.merge("lady", "ada")
    store.subjects.annotate("ada", {"team": "engines"})
    return store


def test_everything_is_in_the_archive(held: Store, tmp_path: Path) -> None:
    file = tmp_path / "ada.zip"
    assert held.export_subject("ada", file) == 2
    value, crops = read(file)
    assert crops == {"crops/1.jpg": crop_bytes(1), "crops/3.jpg": crop_bytes(3)}
    assert value["schema"] == 1
    assert value["gallery"] == held.gallery().gallery_id
    assert value["subject"]["name"] == "ada"
    assert value["subject"]["metadata"] == {"team": "engines"}
    first, second = value["references"]
    assert first["photo"] == "caf\\xe9.jpg"
    assert first["photo_sha256"] == source_sha256(1)
    assert (first["consent"], first["expires"]) == ("form 17", "2999-01-01T00:00:00+00:00")
    assert (second["consent"], second["expires"]) == (None, None)
    assert first["face"]["box"] == [1.5, 2.25, 100.1, 120.0]
    assert np.float32(first["face"]["landmarks"]).tolist() == sample(1).face.landmarks.tolist()
    assert first["quality"] == 1.0
    assert first["crop"] == "crops/1.jpg"
    assert [(template["model"], np.float32(template["values"]).tobytes()) for template in first["templates"]] == [
        (MODEL, unit_vector(1).tobytes()),
        (OTHER_MODEL, unit_vector(4).tobytes()),
    ]
    assert [(item["path"], item["subject"], item["status"]) for item in value["job_items"]] == [
        ("caf\\xe9.jpg", "ada", "enrolled")
    ]
    # Including acts on the subject that was merged into this one, but none that concern only others.
    actions = [row["action"] for row in value["audit"]]
    assert actions == ["enroll", "enroll", "rename", "merge", "metadata", "export"]
    assert all(2 not in row["subjects"] for row in value["audit"])
    assert "bob" not in json.dumps(value)


def test_a_gallery_without_crops_exports_the_rest(path: Path, tmp_path: Path) -> None:
    with Store.create(path, keep_crops=False) as store:
        enrol(store, 1, "ada")
        store.export_subject("ada", tmp_path / "ada.zip")
    value, crops = read(tmp_path / "ada.zip")
    assert crops == {}
    assert value["references"][0]["crop"] is None


def test_no_file_is_overwritten_and_a_refusal_leaves_none(held: Store, tmp_path: Path) -> None:
    file = tmp_path / "ada.zip"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"ada\.zip' exists already; an archive never replaces a file"):
        held.export_subject("ada", file)
    assert file.read_text() == "mine"
    with pytest.raises(UsageError, match="No subject named 'adda', nearest names: 'ada'"):
        held.export_subject("adda", tmp_path / "adda.zip")
    assert not (tmp_path / "adda.zip").exists()
    assert "export" not in [row.action for row in held.audit.rows()]


def test_the_archive_is_for_its_owner_alone(held: Store, tmp_path: Path) -> None:
    held.export_subject("ada", tmp_path / "ada.zip")
    assert (tmp_path / "ada.zip").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["gallery/ada.zip", "gallery/index/ada.zip", "link/ada.zip"])
def test_nothing_is_written_into_the_gallery(held: Store, tmp_path: Path, target: str) -> None:
    (tmp_path / "gallery" / "index").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gallery")
    with pytest.raises(UsageError, match="lies in the gallery's own folder"):
        held.export_subject("ada", tmp_path / target)
    assert not (tmp_path / target).exists()
    with pytest.raises(UsageError, match=r"There is no folder .*make it first"):
        held.export_subject("ada", tmp_path / "none" / "ada.zip")


def test_the_archive_is_audited_and_on_disk_before_it_is_published(
    held: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    sync, publish = os.fsync, export_target.publish
    published = []

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def looked_at(archive: Path, target: Path) -> None:
        assert archive.stat().st_ino in synced
        assert [row.action for row in held.audit.rows()][-1] == "export"
        assert "subject.json" in zipfile.ZipFile(archive).namelist()
        assert not target.exists()
        publish(archive, target)
        published.append(target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(export_target, "publish", looked_at)
    held.export_subject("ada", tmp_path / "ada.zip")
    assert published == [tmp_path / "ada.zip"]
    assert read(tmp_path / "ada.zip")[1].keys() == {"crops/1.jpg", "crops/3.jpg"}


def test_a_file_made_meanwhile_is_not_replaced(held: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subject_export._held

    def meanwhile(*arguments: Any) -> Any:
        (tmp_path / "ada.zip").write_text("theirs")
        return real(*arguments)

    monkeypatch.setattr(subject_export, "_held", meanwhile)
    with pytest.raises(UsageError, match="exists already"):
        held.export_subject("ada", tmp_path / "ada.zip")
    assert (tmp_path / "ada.zip").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.zip", "gallery"]


@pytest.mark.parametrize(("point", "audited"), [("select_crop", 1), ("publish_archive", 2)])
def test_a_killed_export_can_be_repeated(held: Store, path: Path, tmp_path: Path, point: str, audited: int) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from twindex.storage import Store, subject_export\n"
        f"subject_export.{point} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Store.open(Path(sys.argv[1])).export_subject('ada', Path(sys.argv[2]))"
    )
    file = tmp_path / "ada.zip"
    killed = subprocess.run([sys.executable, "-c", code, path, file], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not file.exists()
    (left,) = (path for path in tmp_path.iterdir() if path.name != "gallery")
    assert left.stat().st_mode & 0o777 == 0o700
    assert held.export_subject("ada", file) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.zip", "gallery"]
    assert [row.action for row in held.audit.rows()].count("export") == audited
