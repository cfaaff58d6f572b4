import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.conftest import Run
from twindex.commands.terminal import probability_text


def probes(people: Path) -> list[Path]:
    return sorted((people / "probes").rglob("*.jpg"))


def test_text_tells_a_probability_from_a_threshold_near_one() -> None:
    assert [probability_text(one) for one in (0.0, 0.9994, 0.99993, 1.0)] == ["0.000", "0.999", "0.999930", "1.000000"]


def test_answer_follows_the_contract(run: Run, enrolled: Path, people: Path) -> None:
    photo = probes(people)[0]
    result = run("--gallery", enrolled, "--json", "query", photo, "--top", 3)
    answer = result.json
    assert set(answer) == {"schema", "probe", "model", "gallery_size", "faces", "error"}
    assert (answer["schema"], answer["probe"], answer["error"]) == (1, str(photo), None)
    assert len(answer["model"]) == 64
    face = answer["faces"][0]
    assert set(face) == {"box", "decision", "threshold", "unknown", "candidates"}
    assert len(face["box"]) == 4
    assert [one["rank"] for one in face["candidates"]] == [1, 2, 3]
    assert len({one["subject"] for one in face["candidates"]}) == 3
    assert set(face["candidates"][0]) == {"rank", "subject", "distance", "probability", "confidence", "reference"}
    distances = [one["distance"] for one in face["candidates"]]
    probabilities = [one["probability"] for one in face["candidates"]]
    assert distances == sorted(distances)
    assert probabilities == sorted(probabilities, reverse=True)
    matched = probabilities[0] >= face["threshold"]
    assert face["decision"] == ("match" if matched else "unknown")
    assert result.status == (0 if matched else 1)


def test_held_out_photos_find_their_subject_and_strangers_are_unknown(run: Run, enrolled: Path, people: Path) -> None:
    result = run("--gallery", enrolled, "--json", "query", *probes(people))
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert len(answers) == len(probes(people))
    first = [answer["faces"][0]["candidates"][0]["subject"] for answer in answers]
    right = sum(one == Path(answer["probe"]).parent.name for one, answer in zip(first, answers, strict=True))
    assert right >= 0.9 * len(answers)
    strangers = sorted((people / "strangers").rglob("*.jpg"))
    result = run("--gallery", enrolled, "--json", "query", *strangers)
    decisions = [json.loads(line)["faces"][0]["decision"] for line in result.out.splitlines()]
    # Drawn faces resemble each other more than real ones, for which the default threshold is made.
    assert decisions.count("unknown") >= 0.75 * len(strangers)
    assert result.status == 1


def test_an_enrolled_photo_is_its_own_nearest(run: Run, enrolled: Path, people: Path) -> None:
    photo = sorted((people / "enrolled").rglob("*.jpg"))[4]
    best = run("--gallery", enrolled, "--json", "query", photo).json["faces"][0]["candidates"][0]
    assert best["subject"] == photo.parent.name
    assert best["distance"] == pytest.approx(0, abs=1e-3)


def test_a_photo_of_several_people_is_noted(run: Run, enrolled: Path, people: Path) -> None:
    told = "group.jpg shows 4 large faces; the most prominent one is"
    assert f"{told} searched (--all-faces" in run("--gallery", enrolled, "query", people / "group.jpg").err
    assert "large faces" not in run("--gallery", enrolled, "query", people / "group.jpg", "--all-faces").err
    assert f"{told} compared" in run("verify", probes(people)[0], people / "group.jpg").err


def test_all_faces_of_a_group_are_searched(run: Run, enrolled: Path, people: Path, tmp_path: Path) -> None:
    picture = tmp_path / "answer.png"
    result = run("--gallery", enrolled, "--json", "query", people / "group.jpg", "--all-faces", "--picture", picture)
    assert len(result.json["faces"]) == 4
    assert len(run("--gallery", enrolled, "--json", "query", people / "group.jpg").json["faces"]) == 1
    with Image.open(picture) as drawn:
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 24)}
    assert (22, 133, 72) in colours  # a match's box
    assert (196, 72, 28) in colours  # the stranger's


def test_without_index_files_the_answers_are_the_same(run: Run, gallery: Path, people: Path) -> None:
    assert run("--gallery", gallery, "compact").status == 0
    before = run("--gallery", gallery, "--json", "query", *probes(people)).out
    files = list((gallery / "index").iterdir())
    assert files
    shutil.rmtree(gallery / "index")
    assert run("--gallery", gallery, "--json", "query", *probes(people)).out == before


def test_a_damaged_snapshot_is_refused_and_the_answers_are_the_same(run: Run, gallery: Path, people: Path) -> None:
    assert run("--gallery", gallery, "compact").status == 0
    before = run("--gallery", gallery, "--json", "query", *probes(people)).out
    files = list((gallery / "index").iterdir())
    assert files
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0x40
        file.write_bytes(data)
    assert run("--gallery", gallery, "--json", "query", *probes(people)).out == before
    assert run("--gallery", gallery, "--json", "doctor").status == 6
    assert run("--gallery", gallery, "--json", "doctor", "--repair").status == 0
    assert run("--gallery", gallery, "doctor").status == 0


def test_a_photo_without_a_face_is_an_error_of_its_own(run: Run, enrolled: Path, people: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (300, 200), "white").save(blank)
    result = run("--gallery", enrolled, "--json", "query", blank, probes(people)[0])
    first, second = (json.loads(line) for line in result.out.splitlines())
    assert result.status == 3
    assert first["error"]["code"] == "no_face"
    assert first["faces"] == []
    assert second["error"] is None


def test_usage_errors(run: Run, enrolled: Path, people: Path, tmp_path: Path) -> None:
    photo = probes(people)[0]
    for arguments, message in (
        (["--gallery", tmp_path / "none", "query", photo], "no gallery"),
        (["--gallery", enrolled, "query", tmp_path / "none.jpg"], "does not exist"),
        (["--gallery", enrolled, "query", photo, photo, "--picture", tmp_path / "x.png"], "one image"),
        (["--gallery", enrolled, "query"], "Missing argument"),
        (["--gallery", enrolled, "query", photo, "--top", 0], "not in the range"),
    ):
        result = run(*arguments, "--json")
        assert result.status == 2
        assert message in result.json["error"]["message"]
        assert result.err.startswith("twindex: ")


def test_everybody_is_unknown_to_an_empty_gallery(run: Run, gallery: Path, people: Path) -> None:
    for subject in run("--gallery", gallery, "--json", "subjects", "list").json:
        assert run("--gallery", gallery, "subjects", "erase", subject["subject"], "--yes").status == 0
    result = run("--gallery", gallery, "--json", "query", probes(people)[0])
    assert result.status == 1
    assert result.json["gallery_size"] == 0
    assert result.json["faces"][0]["decision"] == "unknown"
    assert result.json["faces"][0]["candidates"] == []


def test_verify_tells_mated_from_non_mated(run: Run, people: Path, tmp_path: Path) -> None:
    one, other = sorted((people / "enrolled").iterdir())[:2]
    first, second = sorted(one.iterdir())[:2]
    nowhere = tmp_path / "g"
    same = run("--gallery", nowhere, "--json", "verify", first, first)
    assert same.status == 0
    assert set(same.json) == {"distance", "probability", "decision"}
    assert same.json["decision"] == "match"
    mated = run("--gallery", nowhere, "--json", "verify", first, second).json
    apart = run("--gallery", nowhere, "--json", "verify", first, sorted(other.iterdir())[0])
    assert apart.status == 1
    assert apart.json["decision"] == "no match"
    assert apart.json["distance"] > mated["distance"]
    assert run("--gallery", nowhere, "--json", "verify", second, first).json == mated


def test_verify_says_which_photo_has_no_face(run: Run, people: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (300, 200), "white").save(blank)
    result = run("--gallery", tmp_path / "g", "--json", "verify", probes(people)[0], blank)
    assert result.status == 3
    assert result.json["error"]["code"] == "no_face"
    assert str(blank) in result.json["error"]["message"]


def test_verify_with_a_model_that_is_not_installed_is_a_mismatch(
    run: Run, gallery: Path, people: Path, rotated_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--gallery", gallery, "reindex", "--model", rotated_model).status == 0
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path / "elsewhere"))
    photo = probes(people)[0]
    for command in (["verify", photo, photo], ["query", photo]):
        result = run("--gallery", gallery, "--json", *command)
        assert result.status == 5
        assert result.json["error"]["code"] == "model_mismatch"


def test_one_missing_photo_is_the_failure_of_one_probe(run: Run, enrolled: Path, people: Path, tmp_path: Path) -> None:
    result = run("--gallery", enrolled, "--json", "query", tmp_path / "gone.jpg", probes(people)[0])
    missing, found = (json.loads(line) for line in result.out.splitlines())
    assert (result.status, missing["error"]["code"], missing["faces"]) == (3, "unreadable", [])
    assert (found["error"], len(found["faces"])) == (None, 1)


def test_a_list_longer_than_the_gallery_holds_everybody(run: Run, enrolled: Path, people: Path) -> None:
    everybody = run("--gallery", enrolled, "--json", "subjects", "list").json
    answer = run("--gallery", enrolled, "--json", "query", probes(people)[0], "--top", 10**19).json
    assert {one["subject"] for one in answer["faces"][0]["candidates"]} == {one["subject"] for one in everybody}


def test_a_picture_that_cannot_be_or_is_the_probe_is_refused_before_searching(
    run: Run, enrolled: Path, people: Path, tmp_path: Path
) -> None:
    probe = tmp_path / "probe.jpg"
    probe.write_bytes(probes(people)[0].read_bytes())
    for picture, reason in (
        (probe, "is the probe itself"),
        (tmp_path, "cannot be written"),
        (tmp_path / "no" / "a.png", "cannot be written"),
        (enrolled / "a.png", "lies in the gallery's own folder"),
        (enrolled / "gallery.sqlite", "lies in the gallery's own folder"),
    ):
        result = run("--gallery", enrolled, "--json", "query", probe, "--picture", picture)
        assert (result.status, list(result.json), reason in result.err) == (2, ["error"], True)
    assert probe.read_bytes() == probes(people)[0].read_bytes()
