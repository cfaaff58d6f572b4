import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.conftest import Run
from twindex.config import DATABASE
from twindex.gallery import Gallery
from twindex.jobs import enroll as jobs_enroll

ITEM_KEYS = {"path", "subject", "status", "reason", "reference"}


def photos(root: Path) -> list[Path]:
    return sorted(root.rglob("*.jpg"))


def test_report_follows_the_contract(run: Run, tmp_path: Path, people: Path) -> None:
    result = run("--gallery", tmp_path / "g", "--json", "enroll", people / "enrolled")
    report = result.json
    wanted = photos(people / "enrolled")
    assert result.status == 0
    assert (report["enrolled"], report["skipped"], report["failed"]) == (len(wanted), 0, 0)
    assert all(set(item) == ITEM_KEYS for item in report["items"])
    assert sorted(item["path"] for item in report["items"]) == [str(photo) for photo in wanted]
    assert {item["subject"] for item in report["items"]} == {photo.parent.name for photo in wanted}
    assert len({item["reference"] for item in report["items"]}) == len(wanted)


def test_enrolling_twice_enrols_nothing_twice(run: Run, gallery: Path, people: Path) -> None:
    before = run("--gallery", gallery, "--json", "subjects", "list").json
    again = run("--gallery", gallery, "--json", "enroll", people / "enrolled")
    assert again.status == 0
    assert again.json["enrolled"] == 0
    assert again.json["skipped"] == len(photos(people / "enrolled"))
    assert {item["reason"] for item in again.json["items"]} == {"already_enrolled"}
    assert run("--gallery", gallery, "--json", "subjects", "list").json == before


def test_a_damaged_crop_is_replaced_by_enrolling_its_photo_again(run: Run, gallery: Path, people: Path) -> None:
    with closing(sqlite3.connect(gallery / DATABASE)) as connection:
        connection.execute("UPDATE samples SET crop = x'00' WHERE id = 3")
        connection.commit()
    (finding,) = (one for one in run("--gallery", gallery, "--json", "doctor").json if one["severity"] == "error")
    assert (finding["code"], finding["remedy"]) == ("crop_damaged", "Enrol the same photo again, which replaces it.")
    again = run("--gallery", gallery, "--json", "enroll", people / "enrolled")
    assert (again.status, again.json["enrolled"], again.json["failed"]) == (0, 0, 0)
    assert run("--gallery", gallery, "doctor").status == 0


def test_bad_photos_are_reported_and_the_others_enrolled(run: Run, tmp_path: Path, people: Path) -> None:
    root = tmp_path / "people" / "ada"
    root.mkdir(parents=True)
    good = photos(people / "enrolled")[0].read_bytes()
    (root / "good.jpg").write_bytes(good)
    (root / "text.jpg").write_text("not a photo")
    (root / "cut.jpg").write_bytes(good[: len(good) // 2])
    (root / "empty.png").write_bytes(b"")
    Image.new("RGB", (200, 200), "grey").save(root / "blank.png")
    result = run("--gallery", tmp_path / "g", "--json", "enroll", tmp_path / "people")
    assert result.status == 4
    reasons = {Path(item["path"]).name: item["reason"] for item in result.json["items"]}
    assert reasons.pop("good.jpg") is None
    assert {name: reason.split(":")[0] for name, reason in reasons.items()} == {
        "text.jpg": "unreadable",
        "cut.jpg": "unreadable",
        "empty.png": "unreadable",
        "blank.png": "no_face",
    }


def test_manifest_enrols_what_it_lists(run: Run, tmp_path: Path, people: Path) -> None:
    chosen = photos(people / "enrolled")[:2]
    rows = []
    for number, photo in enumerate(chosen):
        (tmp_path / f"{number}.jpg").write_bytes(photo.read_bytes())
        rows.append({"path": f"{number}.jpg", "subject": f"Müller, Ünal {number}"})
    with (tmp_path / "staff.csv").open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, ["path", "subject"])
        writer.writeheader()
        writer.writerows(rows)
    result = run("--gallery", tmp_path / "g", "--json", "enroll", "--manifest", tmp_path / "staff.csv")
    assert result.json["enrolled"] == 2
    listed = run("--gallery", tmp_path / "g", "--json", "subjects", "list").json
    assert listed == [{"subject": f"Müller, Ünal {number}", "references": 1} for number in range(2)]
    both = run("--gallery", tmp_path / "g", "enroll", "--manifest", tmp_path / "staff.csv", "--subject", "Ada")
    assert (both.status, "--subject does not go with --manifest" in both.err) == (2, True)


def test_one_photo_under_two_subjects_is_noted(run: Run, gallery: Path, people: Path) -> None:
    photo = photos(people / "enrolled")[0]
    result = run("--gallery", gallery, "enroll", photo, "--subject", "Somebody Else")
    assert result.status == 0
    assert f"is enrolled as Somebody Else and as {photo.parent.name} too" in result.err


def test_a_photo_of_several_people_is_noted(run: Run, gallery: Path, people: Path) -> None:
    result = run("--gallery", gallery, "enroll", people / "group.jpg", "--subject", "Somebody")
    assert (result.status, result.out.splitlines()[-1][:10]) == (0, "enrolled 1")
    assert "group.jpg shows 4 large faces" in result.err
    assert "the most prominent one is enrolled as Somebody" in result.err
    again = run("--gallery", gallery, "enroll", people / "group.jpg", "--subject", "Somebody")
    assert "faces" not in again.err
    one = next((people / "strangers").rglob("*.jpg"))
    assert "faces" not in run("--gallery", gallery, "enroll", one, "--subject", "Nobody").err


def test_a_new_gallery_keeps_to_the_model_it_was_made_with(
    run: Run, tmp_path: Path, people: Path, rotated_model: Path
) -> None:
    photo = photos(people / "enrolled")[0]
    assert run("--gallery", tmp_path / "g", "enroll", photo, "--subject", "a", "--model", rotated_model).status == 0
    shown = run("--gallery", tmp_path / "g", "--json", "models", "show", rotated_model).json
    answer = run("--gallery", tmp_path / "g", "--json", "query", photo).json
    assert answer["model"] == shown["model"]
    assert answer["faces"][0]["candidates"][0]["subject"] == "a"
    again = run("--gallery", tmp_path / "g", "--json", "enroll", photo, "--subject", "a", "--model", rotated_model)
    assert (again.status, again.json["error"]["code"]) == (2, "usage")


def test_usage_errors_are_one_line_and_json(run: Run, tmp_path: Path, people: Path) -> None:
    photo = photos(people / "enrolled")[0]
    for arguments in ([], [photo], [tmp_path / "nowhere"], [photo, "--manifest", photo]):
        result = run("--gallery", tmp_path / "g", "--json", "enroll", *arguments)
        assert result.status == 2
        assert result.json["error"]["code"] == "usage"
        assert len(result.err.strip().splitlines()[-1:]) == 1
        assert "twindex: " in result.err


def test_control_characters_in_names_are_harmless_on_the_terminal(run: Run, tmp_path: Path, people: Path) -> None:
    photo = photos(people / "enrolled")[0]
    name = "eve\x1b[31m\u202egnp"
    run("--gallery", tmp_path / "g", "enroll", photo, "--subject", name)
    listed = run("--gallery", tmp_path / "g", "subjects", "list")
    assert "\x1b" not in listed.out
    assert "\u202e" not in listed.out
    assert "\\x1b[31m\\u202e" in listed.out
    assert run("--gallery", tmp_path / "g", "--json", "subjects", "list").json[0]["subject"] == name


def interrupted(run: Run, command: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a command that enrols in batches of two, and stop it before its second commit."""
    commit_all, calls = Gallery.commit, []

    def stopped(gallery: Gallery, *arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return commit_all(gallery, *arguments, **options)

    monkeypatch.setattr(jobs_enroll, "BATCH", 2)
    with monkeypatch.context() as stopping:
        stopping.setattr(Gallery, "commit", stopped)
        assert run(*command).status == 130


def test_a_resumed_batch_is_reported_whole(
    run: Run, tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = photos(people / "enrolled")[:5]
    folder = tmp_path / "people" / "Ada"
    folder.mkdir(parents=True)
    for number, photo in enumerate(chosen):
        (folder / f"{number}.jpg").write_bytes(photo.read_bytes())
    (folder / "0bad.jpg").write_bytes(b"no photo")
    command = ("--gallery", tmp_path / "g", "--json", "enroll", tmp_path / "people")
    interrupted(run, command, monkeypatch)
    states = [(one["state"], one["items"]) for one in run("--gallery", tmp_path / "g", "--json", "jobs", "list").json]
    assert states == [("interrupted", {"pending": 4, "enrolled": 1, "skipped": 0, "failed": 1})]
    report = run(*command)
    assert report.status == 4
    assert [report.json[key] for key in ("enrolled", "skipped", "failed")] == [4, 1, 1]
    names = ["0.jpg", "0bad.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert [Path(one["path"]).name for one in report.json["items"]] == names


def test_a_resumed_batch_follows_the_manifest_as_it_is_now(
    run: Run, tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were taken out or corrected, new dates and mended photos, all after the batch was interrupted."""
    chosen = photos(people / "enrolled")[:5]
    for number, photo in enumerate(chosen):
        (tmp_path / f"{number}.jpg").write_bytes(b"no photo" if number == 1 else photo.read_bytes())
    manifest, gallery = tmp_path / "staff.csv", tmp_path / "g"
    manifest.write_text(
        "path,subject,expires\n0.jpg,ada,2998-01-01\n1.jpg,ben,\n2.jpg,clara,\n3.jpg,dora,\n4.jpg,eve,\n"
    )
    command = ("--gallery", gallery, "--json", "enroll", "--manifest", manifest)
    interrupted(run, command, monkeypatch)
    (tmp_path / "1.jpg").write_bytes(chosen[1].read_bytes())
    manifest.write_text("path,subject,expires\n0.jpg,ada,2997-01-01\n1.jpg,ben,\n2.jpg,cleo,\n4.jpg,eve,2996-01-01\n")
    report = run(*command)
    assert report.status == 0
    assert [report.json[key] for key in ("enrolled", "skipped", "failed")] == [3, 1, 0]
    with Gallery.open(gallery) as opened:
        records = [opened.store.references.get(number) for number in range(1, 5)]
        assert {one.subject: str(one.terms.expires)[:4] for one in records} == {
            "ada": "2997",
            "ben": "None",
            "cleo": "None",
            "eve": "2996",
        }
        assert opened.subject_count() == 4
    assert b"clara" not in (gallery / "gallery.sqlite").read_bytes()


def test_a_resumed_batch_does_not_tell_what_was_erased_meanwhile(gallery: Path) -> None:
    with Gallery.open(gallery) as opened:
        job = opened.store.jobs.list()[-1]
        before = list(jobs_enroll.settled_items(opened, job))
        name = before[0].subject
        opened.erase(name)
        assert list(jobs_enroll.settled_items(opened, job)) == [one for one in before if one.subject != name]
    assert {one.status for one in before} == {"skipped"}


def test_one_missing_path_is_one_failed_photo(run: Run, tmp_path: Path, people: Path) -> None:
    photo = photos(people / "enrolled")[0]
    result = run("--gallery", tmp_path / "g", "--json", "enroll", photo, tmp_path / "gone.jpg", "--subject", "Ada")
    assert (result.status, result.json["enrolled"], result.json["failed"]) == (4, 1, 1)
    assert result.json["items"][1]["reason"].startswith("unreadable: The file cannot be read: No such file")


def test_every_photo_is_a_line(run: Run, tmp_path: Path, people: Path) -> None:
    photo = photos(people / "enrolled")[0]
    command = ("--gallery", tmp_path / "g", "enroll", photo, "--subject", "  Ada ")
    assert run(*command).out.splitlines() == [f"enrolled {photo}: Ada", "enrolled 1, skipped 0, failed 0 (job 1)"]
    assert run(*command).out.splitlines()[0] == f"skipped  {photo}: already_enrolled"


def test_a_photo_that_was_read_otherwise_is_told(run: Run, tmp_path: Path, people: Path) -> None:
    command = ("--gallery", tmp_path / "g", "enroll", photos(people / "enrolled")[0], "--subject", "Ada")
    assert run(*command, "--pre-cropped").status == 0
    assert "read_otherwise: enrolled before with --pre-cropped" in run(*command).out
    assert "already_enrolled" in run(*command, "--pre-cropped").out


def test_files_that_are_left_out_are_told(run: Run, tmp_path: Path, people: Path) -> None:
    folder = tmp_path / "people" / "Ada"
    folder.mkdir(parents=True)
    for name in ("a.jfif", "b", ".hidden"):
        (folder / name).write_bytes(photos(people / "enrolled")[0].read_bytes())
    result = run("--gallery", tmp_path / "g", "--json", "enroll", tmp_path / "people")
    assert (result.status, [Path(one["path"]).name for one in result.json["items"]]) == (0, ["a.jfif"])
    assert f"note: 1 files in {tmp_path / 'people'} are left out, such as b: no photo is named so" in result.err


def test_links_to_folders_are_told(run: Run, tmp_path: Path, people: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    link = folder / "Linked"
    link.symlink_to(photos(people / "enrolled")[0].parent)
    assert run("--gallery", tmp_path / "g", "enroll", folder).status == 2
    assert f"{link} is left out: links to folders are not followed." in caplog.text
