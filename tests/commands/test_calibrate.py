"""`calibrate` as a user calls it, on people who do not exist."""

import json
import re
from pathlib import Path

from tests.commands.conftest import Run

KEYS = {"threshold", "target_fpir", "fpir_bound", "fnir", "gallery_size", "method"}


def test_strangers_set_the_threshold_that_queries_use(run: Run, gallery: Path, people: Path) -> None:
    photo = next((people / "probes").rglob("*.jpg"))
    before = run("--gallery", gallery, "--json", "query", photo)
    assert "model's default" in before.err
    result = run("--gallery", gallery, "--json", "calibrate", "--non-mated", people / "strangers")
    assert result.status == 0
    assert set(result.json) >= KEYS
    assert result.json["method"] == "non-mated"
    assert result.json["target_fpir"] == 0.01
    assert result.json["strangers"] == len(list((people / "strangers").iterdir()))
    assert "Too few strangers for 1 %" in result.err
    after = run("--gallery", gallery, "--json", "query", photo)
    assert after.json["faces"][0]["threshold"] == result.json["threshold"]
    assert after.err == ""
    # At the threshold set with them, none of the strangers is called somebody.
    strangers = run("--gallery", gallery, "--json", "query", *(people / "strangers").rglob("*.jpg"))
    firsts = [json.loads(line)["faces"][0] for line in strangers.out.splitlines()]
    assert {face["decision"] for face in firsts} == {"unknown"}


def test_without_strangers_the_enrolled_are_left_out(run: Run, gallery: Path) -> None:
    result = run("--gallery", gallery, "calibrate", "--target-fpir", 0.2)
    assert result.status == 0
    assert "leave-one-subject-out, 12 strangers" in result.out
    assert "FPIR       about" in result.out


def test_strangers_who_raise_the_threshold_are_named(run: Run, gallery: Path, people: Path) -> None:
    talk = run("--gallery", gallery, "calibrate", "--non-mated", people / "probes").err
    assert "so are 12 of 12 strangers: " in talk
    assert re.search(r"strangers: '(\w+)' like '\1' \(1\.000000\), ", talk)
    assert " and 7 more. " in talk
    assert "If one of them is enrolled" in talk


def test_a_reset_brings_the_models_default_back(run: Run, gallery: Path, people: Path) -> None:
    photo = next((people / "probes").rglob("*.jpg"))
    before = run("--gallery", gallery, "--json", "query", photo)
    run("--gallery", gallery, "calibrate", "--target-fpir", 0.5)
    assert run("--gallery", gallery, "--json", "query", photo).json != before.json
    reset = run("--gallery", gallery, "--json", "calibrate", "--reset").json
    assert set(reset) == KEYS
    assert (reset["method"], reset["threshold"]) == ("default", before.json["faces"][0]["threshold"])
    after = run("--gallery", gallery, "--json", "query", photo)
    assert (after.json, after.err) == (before.json, before.err)
    assert run("--gallery", gallery, "calibrate", "--reset", "--auto").status == 2


def test_auto_sets_it_only_when_it_no_longer_fits(run: Run, gallery: Path, people: Path) -> None:
    first = run("--gallery", gallery, "--json", "calibrate", "--auto", "--target-fpir", 0.3).json
    assert first["changed"]
    again = run("--gallery", gallery, "--json", "calibrate", "--auto").json
    assert again == {**first, "changed": False}
    assert run("--gallery", gallery, "--json", "doctor").json == []
    run("--gallery", gallery, "enroll", people / "strangers")
    notes = run("--gallery", gallery, "--json", "doctor")
    assert notes.status == 0
    assert [(finding["code"], finding["severity"]) for finding in notes.json] == [("threshold_age", "note")]
    assert "set for 12 people, there are 18 now" in notes.json[0]["message"]
    photo = next((people / "probes").rglob("*.jpg"))
    assert "calibrate --auto" in run("--gallery", gallery, "query", photo).err
    grown = run("--gallery", gallery, "--json", "calibrate", "--auto").json
    assert grown["changed"]
    assert (grown["target_fpir"], grown["subjects"]) == (0.3, 18)
    other = run("--gallery", gallery, "--json", "calibrate", "--auto", "--target-fpir", 0.2).json
    assert (other["changed"], other["target_fpir"]) == (True, 0.2)


def test_auto_says_when_the_strangers_are_gone(run: Run, gallery: Path, people: Path, tmp_path: Path) -> None:
    strangers = tmp_path / "visitors"
    strangers.mkdir()
    photos = sorted((people / "strangers").rglob("*.jpg"))
    for number, photo in enumerate(photos[:4]):
        (strangers / f"visitor-{number}.jpg").write_bytes(photo.read_bytes())
    assert run("--gallery", gallery, "calibrate", "--non-mated", strangers).status == 0
    for number in (5, 6):
        run("--gallery", gallery, "enroll", photos[number], "--subject", f"somebody new {number}")
    strangers.rename(tmp_path / "elsewhere")
    result = run("--gallery", gallery, "calibrate", "--auto")
    assert result.status == 2
    assert "no longer exists; name another with --non-mated" in result.err


def test_enrolled_people_are_refused_as_strangers(run: Run, gallery: Path, people: Path) -> None:
    result = run("--gallery", gallery, "--json", "calibrate", "--non-mated", people / "enrolled")
    assert result.status == 2
    assert "among the strangers is enrolled" in result.json["error"]["message"]


def test_a_rate_is_between_zero_and_one(run: Run, gallery: Path) -> None:
    assert run("--gallery", gallery, "calibrate", "--target-fpir", 0).status == 2
    assert run("--gallery", gallery, "calibrate", "--target-fpir", 1).status == 2
    assert run("--gallery", gallery, "calibrate", "--target-fpir", 1e-310).status == 2


def test_pre_cropped_needs_strangers(run: Run, gallery: Path) -> None:
    result = run("--gallery", gallery, "calibrate", "--pre-cropped")
    assert (result.status, "--pre-cropped goes with --non-mated" in result.err) == (2, True)


def test_nan_is_refused(run: Run, gallery: Path) -> None:
    result = run("--gallery", gallery, "--json", "calibrate", "--target-fpir", "nan")
    assert (result.status, result.json["error"]["code"]) == (2, "usage")
