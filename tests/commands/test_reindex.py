import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Run
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.registry import install_model
from twindex.gallery import Gallery
from twindex.gallery.captures import Capture
from twindex.jobs import reindex

pytestmark = pytest.mark.slow

KEYS = {"job", "generation", "model", "index", "references", "failed", "seconds"}


def probes(people: Path) -> list[Path]:
    return sorted((people / "probes").rglob("*.jpg"))[:6]


def candidates(run: Run, gallery: Path, people: Path) -> list[list[tuple[str, int]]]:
    result = run("--gallery", gallery, "--json", "query", *probes(people))
    faces = [json.loads(line)["faces"][0] for line in result.out.splitlines()]
    return [[(candidate["subject"], candidate["reference"]) for candidate in face["candidates"]] for face in faces]


@pytest.mark.parametrize("index", ["hnsw", "IVF4,Flat", "SQ8", "IVF2,SQ8", "PQ16x4fs"])
def test_every_index_type_gives_the_same_candidates(run: Run, gallery: Path, people: Path, index: str) -> None:
    before = candidates(run, gallery, people)
    result = run("--gallery", gallery, "--json", "reindex", "--index", index)
    assert result.status == 0
    assert set(result.json) == KEYS
    assert (result.json["references"], result.json["failed"]) == (36, 0)
    assert candidates(run, gallery, people) == before


def test_another_model_answers_until_a_rollback(run: Run, gallery: Path, people: Path, rotated_model: Path) -> None:
    before = candidates(run, gallery, people)
    old = run("--gallery", gallery, "--json", "query", probes(people)[0]).json["model"]
    moved = run("--gallery", gallery, "--json", "reindex", "--model", rotated_model).json
    assert moved["model"] != old
    assert candidates(run, gallery, people) == before
    assert run("--gallery", gallery, "--json", "query", probes(people)[0]).json["model"] == moved["model"]
    late = probes(people)[1]
    run("--gallery", gallery, "enroll", late, "--subject", "late")
    back = run("--gallery", gallery, "--json", "reindex", "--rollback").json
    assert back["model"] == old
    assert back["references"] == 37
    best = run("--gallery", gallery, "--json", "query", late).json["faces"][0]["candidates"][0]
    assert best["subject"] == "late"
    assert best["distance"] == pytest.approx(0, abs=1e-3)


def test_prune_drops_what_is_not_in_use(run: Run, gallery: Path, rotated_model: Path) -> None:
    run("--gallery", gallery, "reindex", "--model", rotated_model)
    assert "pruned 1 generations and 36 templates" in run("--gallery", gallery, "reindex", "--prune").err
    assert len(list((gallery / "index").iterdir())) == 1
    result = run("--gallery", gallery, "--json", "reindex", "--rollback")
    assert result.status == 2
    assert "no earlier generation" in result.json["error"]["message"]
    assert run("--gallery", gallery, "doctor").status == 0


def test_a_gallery_without_crops_keeps_its_model(run: Run, tmp_path: Path, people: Path, rotated_model: Path) -> None:
    bare = tmp_path / "bare"
    run("--gallery", bare, "enroll", people / "enrolled", "--discard-crops")
    result = run("--gallery", bare, "--json", "reindex", "--model", rotated_model)
    assert result.status == 4
    assert result.json["failed"] == 36
    answer = run("--gallery", bare, "--json", "query", probes(people)[0]).json
    assert answer["model"] != result.json["model"]
    assert answer["faces"][0]["candidates"]


def test_an_index_that_cannot_be_trained_yet_searches_exactly_and_says_so(
    run: Run, gallery: Path, people: Path
) -> None:
    before = candidates(run, gallery, people)
    result = run("--gallery", gallery, "reindex", "--index", "IVF64,Flat")
    assert result.status == 0
    assert "needs 64 references to be trained; until then it searches exactly" in result.err
    assert candidates(run, gallery, people) == before


@pytest.mark.parametrize("index", ["magic", "IVF,Flat", "LSH"])
def test_a_wrong_index_is_refused(run: Run, gallery: Path, index: str) -> None:
    result = run("--gallery", gallery, "--json", "reindex", "--index", index)
    assert result.status == 2
    assert result.json["error"]["code"] == "usage"


def test_a_reindex_catches_up_with_enrolments_and_erasures(
    run: Run, gallery: Path, people: Path, rotated_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, check = probes(people)[0], reindex._check
    gone = run("--gallery", gallery, "--json", "subjects", "list").json[0]["subject"]
    checks: list[int] = []

    def check_while_others_work(*arguments: Any) -> None:
        check(*arguments)
        checks.append(1)
        if len(checks) == 1:  # between the check and the flip
            with Gallery.open(gallery) as other:
                other.commit([Capture(FaceReader().samples(late.read_bytes(), "late.jpg")[0], "late")])
                other.erase(gone)

    monkeypatch.setattr(reindex, "_check", check_while_others_work)
    with Gallery.open(gallery) as opened:
        report = reindex.reindex(opened, install_model(rotated_model), "hnsw", lambda _done, _total: None)
    assert len(checks) == 2  # the flip was refused once, because a reference lacked a template
    assert (report.references, report.failed) == (34, 0)
    best = run("--gallery", gallery, "--json", "query", late).json["faces"][0]["candidates"][0]
    assert (best["subject"], best["distance"]) == ("late", pytest.approx(0, abs=1e-3))
    photo = next((people / "enrolled" / gone).iterdir())
    found = run("--gallery", gallery, "--json", "query", photo, "--top", 20).json["faces"][0]["candidates"]
    assert gone not in {candidate["subject"] for candidate in found}
    assert run("--gallery", gallery, "doctor").status == 0


def test_an_enrolment_overtaken_by_a_flip_is_embedded_again(gallery: Path, people: Path, rotated_model: Path) -> None:
    sample = FaceReader().samples(probes(people)[0].read_bytes(), "late.jpg")[0]
    with Gallery.open(gallery) as enrolling, Gallery.open(gallery) as moving:
        stale = enrolling.embed([sample], enrolling.active().fingerprint)
        model = reindex.reindex(moving, install_model(rotated_model), None, lambda _done, _total: None).model
        (done,) = enrolling.commit([Capture(sample, "late")], stale)
        assert done.reference is not None
        found, vectors = enrolling.store.references.vectors(model, [done.reference])
        assert found.tolist() == [done.reference]
        assert abs(vectors[0] - stale.vectors[0]).max() > 0.01


def test_auto_keeps_within_the_memory_limit(run: Run, gallery: Path, people: Path) -> None:
    before = candidates(run, gallery, people)
    chosen = run("--gallery", gallery, "--json", "reindex", "--index", "auto", "--max-index-memory", 1)
    assert (chosen.status, chosen.json["index"]) == (0, "Flat")
    with Gallery.open(gallery, read_only=True) as opened:
        assert opened.active().index_spec == "auto,1MB"
    assert candidates(run, gallery, people) == before


def test_a_memory_limit_belongs_to_auto(run: Run, gallery: Path) -> None:
    for index in ([], ["--index", "flat"]):
        refused = run("--gallery", gallery, "reindex", *index, "--max-index-memory", 64)
        assert refused.status == 2
        assert "--max-index-memory goes with --index auto" in refused.err


def test_the_doctor_notes_the_recall_of_an_approximate_index(run: Run, gallery: Path) -> None:
    assert "exact nearest" not in run("--gallery", gallery, "doctor").out
    run("--gallery", gallery, "reindex", "--index", "PQ16x4fs")
    doctor = run("--gallery", gallery, "doctor")
    assert doctor.status == 0
    assert "the index PQ16x4fs keeps 100.0 % of the exact nearest references among 100 candidates" in doctor.out


def test_a_person_enrolled_while_the_index_is_built_is_found(
    run: Run, gallery: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact = reindex.SearchableGeneration.compact

    def enrol_meanwhile(searchable: Any) -> Any:
        written = compact(searchable)
        run("--gallery", gallery, "enroll", probes(people)[0], "--subject", "late")
        return written

    monkeypatch.setattr(reindex.SearchableGeneration, "compact", enrol_meanwhile)
    assert run("--gallery", gallery, "--json", "reindex", "--index", "SQ8").status == 0
    monkeypatch.undo()
    found = run("--gallery", gallery, "--json", "query", probes(people)[0]).json["faces"][0]["candidates"][0]
    assert found["subject"] == "late"
