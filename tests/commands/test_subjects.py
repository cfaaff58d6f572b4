import io
from pathlib import Path

import pytest

from tests.commands.conftest import Run


def first_subject(run: Run, gallery: Path) -> tuple[str, int]:
    listed = run("--gallery", gallery, "--json", "subjects", "list").json
    return listed[0]["subject"], listed[0]["references"]


def test_show_lists_what_is_held(run: Run, enrolled: Path, people: Path) -> None:
    name, references = first_subject(run, enrolled)
    shown = run("--gallery", enrolled, "--json", "subjects", "show", name).json
    assert shown["subject"] == name
    assert len(shown["references"]) == references
    photos = {str(photo) for photo in (people / "enrolled" / name).iterdir()}
    assert {record["photo"] for record in shown["references"]} == photos
    assert all(record["crop"] and len(record["box"]) == 4 and record["quality"] > 0 for record in shown["references"])


def test_an_absent_subject_is_a_usage_error_with_near_names(run: Run, enrolled: Path) -> None:
    name, _ = first_subject(run, enrolled)
    result = run("--gallery", enrolled, "--json", "subjects", "show", name + "x")
    assert result.status == 2
    assert name in result.json["error"]["message"]


def test_rename_keeps_the_templates(run: Run, gallery: Path, people: Path) -> None:
    name, _ = first_subject(run, gallery)
    photo = next((people / "enrolled" / name).iterdir())
    assert run("--gallery", gallery, "subjects", "rename", name, "Zoé 王").status == 0
    best = run("--gallery", gallery, "--json", "query", photo).json["faces"][0]["candidates"][0]
    assert best["subject"] == "Zoé 王"


def test_merge_moves_every_reference(run: Run, gallery: Path) -> None:
    listed = run("--gallery", gallery, "--json", "subjects", "list").json
    source, target = listed[0], listed[1]
    result = run("--gallery", gallery, "--json", "subjects", "merge", source["subject"], target["subject"])
    assert result.json["references"] == source["references"]
    after = {
        entry["subject"]: entry["references"] for entry in run("--gallery", gallery, "--json", "subjects", "list").json
    }
    assert source["subject"] not in after
    assert after[target["subject"]] == source["references"] + target["references"]


def test_erase_leaves_neither_answer_nor_bytes(run: Run, gallery: Path, people: Path) -> None:
    from twindex.gallery import Gallery

    run("--gallery", gallery, "compact")
    name, references = first_subject(run, gallery)
    with Gallery.open(gallery) as opened:
        held = [record.reference for record in opened.store.subjects.show(name).references]
        _, vectors = opened.store.references.vectors(opened.active().fingerprint, held)
        crops = [opened.store.references.crop(reference) for reference in held]
    windows = [vector.tobytes()[:32] for vector in vectors] + [crop[len(crop) // 2 :][:32] for crop in crops]
    files = [file for file in gallery.rglob("*") if file.is_file()]
    assert all(any(window in file.read_bytes() for file in files) for window in windows)
    result = run("--gallery", gallery, "--json", "subjects", "erase", name, "--yes").json
    receipt = result.pop("receipt")
    assert result == {"subject": name, "status": "erased", "references": references, "samples": references}
    assert (receipt["result"], receipt["verified_by"], receipt["references"]) == ("erased", "scan", held)
    assert receipt["files"] >= 1
    photo = next((people / "enrolled" / name).iterdir())
    faces = run("--gallery", gallery, "--json", "query", photo).json["faces"]
    assert name not in {candidate["subject"] for candidate in faces[0]["candidates"]}
    left = [file for file in gallery.rglob("*") if file.is_file()]
    assert not [file for file in left for window in windows if window in file.read_bytes()]
    assert run("--gallery", gallery, "doctor").status == 0


def test_an_export_into_the_gallery_is_refused(run: Run, gallery: Path, tmp_path: Path) -> None:
    name, references = first_subject(run, gallery)
    refused = run("--gallery", gallery, "--json", "subjects", "export", name, gallery / "held.zip")
    assert (refused.status, refused.json["error"]["code"]) == (2, "usage")
    assert "own folder" in refused.err
    assert not (gallery / "held.zip").exists()
    written = run("--gallery", gallery, "--json", "subjects", "export", name, tmp_path / "held.zip").json
    assert written == {"subject": name, "file": str(tmp_path / "held.zip"), "references": references}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["n\n", ""], ids=["no", "Ctrl-D"])
def test_erase_asks_at_a_terminal(run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    name, references = first_subject(run, gallery)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    result = run("--gallery", gallery, "subjects", "erase", name)
    assert (result.status, "Nothing was erased." in result.err) == (2, True)
    assert first_subject(run, gallery) == (name, references)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert run("--gallery", gallery, "subjects", "erase", name).status == 0


@pytest.mark.parametrize("stdin", [None, io.StringIO()])
def test_erase_does_not_ask_without_a_terminal(
    run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None
) -> None:
    name, _ = first_subject(run, gallery)
    monkeypatch.setattr("sys.stdin", stdin)
    assert run("--gallery", gallery, "subjects", "erase", f" {name} ").out.startswith(f"{name}: erased")


def test_names_are_printed_as_they_are_stored(run: Run, gallery: Path) -> None:
    name, references = first_subject(run, gallery)
    renamed = run("--gallery", gallery, "--json", "subjects", "rename", f"  {name}", "Zoe\u0308 \udcff ").json
    assert renamed == {"subject": "Zo\u00eb \\xff", "was": name}
    shown = run("--gallery", gallery, "--json", "subjects", "show", renamed["subject"]).json
    assert (shown["subject"], len(shown["references"])) == (renamed["subject"], references)


def test_annotations_are_kept_and_removed(run: Run, gallery: Path) -> None:
    name, _ = first_subject(run, gallery)
    done = run("--gallery", gallery, "--json", "subjects", "annotate", name, "team=a=b", "desk=4").json
    assert done == {"subject": name, "metadata": {"team": "a=b", "desk": "4"}}
    run("--gallery", gallery, "subjects", "annotate", name, "desk=")
    assert run("--gallery", gallery, "--json", "subjects", "show", name).json["metadata"] == {"team": "a=b"}
    assert run("--gallery", gallery, "subjects", "annotate", name, "desk").status == 2


@pytest.mark.parametrize("group", ["subjects", "jobs", "models", "evaluate"])
def test_a_missing_command_is_reported_as_json(run: Run, group: str) -> None:
    result = run("--json", group)
    assert (result.status, result.json["error"]["code"]) == (2, "usage")
    assert result.err == f"twindex: {result.json['error']['message']}\n"


@pytest.mark.parametrize("command", [("jobs", "show"), ("jobs", "resume"), ("audit", "--last")])
def test_impossible_row_numbers_are_refused(run: Run, gallery: Path, command: tuple[str, str]) -> None:
    result = run("--gallery", gallery, "--json", *command, 10**23)
    assert (result.status, result.json["error"]["code"]) == (2, "usage")


def test_jobs_list_the_outcome_of_each_photo(run: Run, gallery: Path, people: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    run("--gallery", gallery, "enroll", broken, "--subject", "eve")
    jobs = run("--gallery", gallery, "--json", "jobs", "list").json
    assert [job["state"] for job in jobs] == ["finished", "finished"]
    assert jobs[0]["items"]["enrolled"] == len(list((people / "enrolled").rglob("*.jpg")))
    shown = run("--gallery", gallery, "--json", "jobs", "show", jobs[1]["job"]).json
    assert [(item["subject"], item["status"]) for item in shown["items"]] == [("eve", "failed")]
    assert shown["items"][0]["reason"].startswith("unreadable")
    result = run("--gallery", gallery, "--json", "jobs", "resume", jobs[1]["job"])
    assert result.status == 2
    assert "finished" in result.json["error"]["message"]
