"""Batches under field conditions: other folders, pipes, unsupported formats, nothing to enrol."""

import os
from pathlib import Path

import pytest

from tests.commands.conftest import Run


def test_a_job_is_resumed_from_another_folder(
    run: Run, tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = sorted((people / "enrolled").rglob("*.jpg"))[0]
    (tmp_path / "in" / "ada").mkdir(parents=True)
    (tmp_path / "in" / "ada" / "1.jpg").write_bytes(photo.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run("--gallery", tmp_path / "g", "enroll", "in").status == 0
    items = run("--gallery", tmp_path / "g", "--json", "jobs", "show", 1).json["items"]
    assert [item["path"] for item in items] == [str(tmp_path / "in" / "ada" / "1.jpg")]


def test_pipes_and_unsupported_formats_are_reported(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "ada"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "moving.gif").write_bytes(b"GIF89a\1\0\1\0\0\0\0;")
    result = run("--gallery", tmp_path / "g", "--json", "enroll", tmp_path / "in")
    assert result.status == 4
    reasons = {Path(item["path"]).name: item["reason"].split(":")[0] for item in result.json["items"]}
    assert reasons == {
        "pipe.jpg": "unreadable",
        "phone.heic": "unsupported_format",
        "moving.gif": "unsupported_format",
    }


@pytest.mark.parametrize("subject", ["", "   ", "x" * 300])
def test_an_invalid_name_creates_nothing(run: Run, tmp_path: Path, people: Path, subject: str) -> None:
    photo = sorted((people / "enrolled").rglob("*.jpg"))[0]
    result = run("--gallery", tmp_path / "g", "--json", "enroll", photo, "--subject", subject)
    assert (result.status, result.json["error"]["code"]) == (2, "usage")
    assert not (tmp_path / "g").exists()


def test_nothing_to_enrol_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("--gallery", tmp_path / "g", "--json", "enroll", tmp_path / "empty")
    assert result.status == 2
    assert "No photos" in result.json["error"]["message"]
    assert not (tmp_path / "g").exists()
