import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import manifests
from twindex.errors import UsageError
from twindex.jobs.plan import PlannedPhoto, plan_manifest, plan_paths
from twindex.storage.values.terms import NO_TERMS, Terms


@pytest.fixture
def people(tmp_path: Path) -> Path:
    root = tmp_path / "people"
    for name in ("ada/1.jpg", "ada/trip/2.PNG", "Zoë/1.webp", "Zoë/notes.txt", ".hidden/1.jpg", "ada/.thumb.jpg"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def test_sub_folders_are_subjects(people: Path) -> None:
    found = list(plan_paths([people], None))
    assert found == [
        PlannedPhoto(str(people / "Zoë/1.webp"), "Zoë"),
        PlannedPhoto(str(people / "ada/1.jpg"), "ada"),
        PlannedPhoto(str(people / "ada/trip/2.PNG"), "ada"),
    ]


def test_a_subject_takes_files_and_folders(people: Path) -> None:
    found = list(plan_paths([people / "Zoë/1.webp", people / "ada"], "somebody"))
    assert [Path(photo.path).name for photo in found] == ["1.webp", "1.jpg", "2.PNG"]
    assert {photo.subject for photo in found} == {"somebody"}


def test_a_file_without_a_subject_is_refused(people: Path) -> None:
    with pytest.raises(UsageError, match="--subject"):
        list(plan_paths([people / "ada/1.jpg"], None))


def test_photos_outside_any_sub_folder_are_refused(people: Path) -> None:
    (people / "loose.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"such as loose\.jpg"):
        list(plan_paths([people], None))


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        list(plan_paths([tmp_path / "nowhere"], "ada"))


def test_links_to_folders_are_not_followed(people: Path) -> None:
    (people / "ada/loop").symlink_to(people)
    assert len(list(plan_paths([people], None))) == 3


def manifest(tmp_path: Path, text: bytes) -> Path:
    file = tmp_path / "staff.csv"
    file.write_bytes(text)
    return file


def test_a_manifest_may_name_whole_paths_in_its_folder(tmp_path: Path) -> None:
    file = manifest(tmp_path, f"path,subject\n{tmp_path / 'a' / '1.jpg'},ada\n".encode())
    assert list(plan_manifest(file)) == [PlannedPhoto(str(tmp_path / "a/1.jpg"), "ada")]


def test_manifest_lists_photos_beside_it(tmp_path: Path) -> None:
    file = manifest(tmp_path, '\ufeffsubject,path,note\nZoë, zoe.jpg,x\n"Lovelace, Ada",a/1.jpg,\n'.encode())
    assert list(plan_manifest(file)) == [
        PlannedPhoto(str(tmp_path / " zoe.jpg"), "Zoë"),
        PlannedPhoto(str(tmp_path / "a/1.jpg"), "Lovelace, Ada"),
    ]


@pytest.mark.parametrize(("message", "text"), manifests.BAD.values(), ids=manifests.BAD)
def test_wrong_manifests_are_refused(tmp_path: Path, message: str, text: bytes) -> None:
    (tmp_path / "out").symlink_to("/usr")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=message) as caught:
        list(plan_manifest(manifest(tmp_path, text)))
    assert "staff.csv" in str(caught.value)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum(a)"])
def test_what_a_spreadsheet_would_compute_is_a_name_like_any_other(tmp_path: Path, cell: str) -> None:
    file = manifest(tmp_path, manifests.HEADER + f"{cell}.jpg,{cell}\n".encode())
    assert list(plan_manifest(file)) == [PlannedPhoto(str(tmp_path / f"{cell}.jpg"), cell)]


def test_a_manifest_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(UsageError, match="is not a file"):
            list(plan_manifest(path))
    with pytest.raises(UsageError, match="does not exist"):
        list(plan_manifest(tmp_path / "nowhere.csv"))


def test_an_endless_manifest_is_refused_without_reading_it(tmp_path: Path) -> None:
    file = manifest(tmp_path, manifests.HEADER)
    os.truncate(file, 1 << 40)
    with pytest.raises(UsageError, match="at most 67108864 is read"):
        list(plan_manifest(file))


def test_a_folder_that_cannot_be_listed_is_not_passed_over(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, listed = str(people / "ada/trip"), os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert PlannedPhoto(closed, "ada") in list(plan_paths([people], None))


def test_a_manifest_may_name_terms(tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text(
        "path,subject,consent,expires\n1.jpg,ada,form 1,2999-12-31\n2.jpg,bob, ,\n3.jpg,cleo\n", encoding="utf-8"
    )
    otherwise = Terms("form 0", datetime(2998, 1, 1, tzinfo=UTC))
    assert [photo.terms for photo in plan_manifest(file, otherwise)] == [
        Terms("form 1", datetime(2999, 12, 31, tzinfo=UTC)),
        otherwise,
        otherwise,
    ]
    assert [photo.terms for photo in plan_manifest(file)][1:] == [NO_TERMS, NO_TERMS]
    file.write_text("path,subject,expires\n1.jpg,ada,2999-12-31\n2.jpg,bob,soon\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"staff\.csv, line 3: 'soon' is not a date"):
        list(plan_manifest(file))
