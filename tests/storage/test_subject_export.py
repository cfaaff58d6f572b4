"""What a person gets: everything that is held about them, and nothing about anybody else."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.storage.builders import MODEL, OTHER_MODEL, crop_bytes, enrol, sample, source_sha256, unit_vector
from twindex.errors import UsageError
from twindex.storage import EnrolmentRequest, NewItem, Store
from twindex.terms import Terms


def read(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("subject.json")), files


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
    store.subjects.set_metadata("ada", {"team": "engines"})
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
    assert [(one["model"], np.float32(one["values"]).tobytes()) for one in first["templates"]] == [
        (MODEL, unit_vector(1).tobytes()),
        (OTHER_MODEL, unit_vector(4).tobytes()),
    ]
    assert [(item["path"], item["subject"], item["status"]) for item in value["job_items"]] == [
        ("caf\\xe9.jpg", "ada", "enrolled")
    ]
    # Also what was done to the subject that was merged into this one, but nothing that was done to others alone.
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


def test_no_file_is_written_over_and_none_left_of_a_refusal(held: Store, tmp_path: Path) -> None:
    file = tmp_path / "ada.zip"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"ada\.zip exists and is not written over"):
        held.export_subject("ada", file)
    assert file.read_text() == "mine"
    with pytest.raises(UsageError, match="No subject named 'adda', nearest names: 'ada'"):
        held.export_subject("adda", tmp_path / "adda.zip")
    assert not (tmp_path / "adda.zip").exists()
    assert "export" not in [row.action for row in held.audit.rows()]


def test_the_archive_is_for_its_owner_alone(held: Store, tmp_path: Path) -> None:
    held.export_subject("ada", tmp_path / "ada.zip")
    assert (tmp_path / "ada.zip").stat().st_mode & 0o777 == 0o600
