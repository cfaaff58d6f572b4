"""Terms, audit, expiry and the export of a person, as a user calls them."""

import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from twindex.config import DATABASE
from twindex.gallery import Gallery


def expire(gallery: Path, subject: str) -> None:
    with closing(sqlite3.connect(gallery / DATABASE)) as connection:
        connection.execute(
            """UPDATE "references" SET expires = '2001-01-01T00:00:00.000000+00:00'
               WHERE subject_id = (SELECT id FROM subjects WHERE name = ?)""",
            [subject],
        )
        connection.commit()


def test_a_gallery_can_require_a_consent(run: Run, gallery: Path, people: Path, tmp_path: Path) -> None:
    before = run("--gallery", gallery, "--json", "settings", "show").json
    assert before == {"consent_required": False, "keep_crops": True}
    after = run("--gallery", gallery, "--json", "settings", "consent-required", "on").json
    assert after == {"consent_required": True, "keep_crops": True}
    refused = run("--gallery", gallery, "--json", "enroll", people / "probes" / "ada", "--subject", "ada")
    assert refused.status == 2
    assert "consent_required: the gallery demands a consent" in refused.json["error"]["message"]
    for number in (4, 5):
        shutil.copy(people / "probes" / "ada" / f"{number}.jpg", tmp_path)
    manifest = tmp_path / "staff.csv"
    manifest.write_text("path,subject,consent,expires\n4.jpg,ada,form 9,2999-01-01\n5.jpg,ada,,\n")
    result = run("--gallery", gallery, "--json", "enroll", "--manifest", manifest)
    assert result.status == 4
    good, bad = result.json["items"]
    assert (good["status"], good["reason"]) == ("enrolled", None)
    assert (bad["status"], bad["reference"]) == ("failed", None)
    assert bad["reason"].startswith("consent_required: ")
    shown = run("--gallery", gallery, "--json", "subjects", "show", "ada").json["references"]
    assert [(reference["consent"], reference["expires"]) for reference in shown][-1] == (
        "form 9",
        "2999-01-01T00:00:00+00:00",
    )
    # Enrolling again changes only the terms that are given.
    again = run(
        "--gallery", gallery, "--json", "enroll", people / "enrolled" / "ada", "--subject", "ada", "--consent", "x"
    )
    assert (again.status, again.json["skipped"]) == (0, 3)
    shown = run("--gallery", gallery, "--json", "subjects", "show", "ada").json["references"]
    assert [reference["consent"] for reference in shown] == ["x", "x", "x", "form 9"]


def test_expired_references_answer_nothing_and_purge_erases_them(run: Run, gallery: Path, people: Path) -> None:
    photo = people / "enrolled" / "ada" / "1.jpg"
    expire(gallery, "ada")
    faces = run("--gallery", gallery, "--json", "query", photo, "--top", "20").json["faces"]
    assert len(faces[0]["candidates"]) == 11
    assert "ada" not in {candidate["subject"] for candidate in faces[0]["candidates"]}
    again = run("--gallery", gallery, "--json", "enroll", photo, "--subject", "ada").json["items"]
    assert again[0]["reason"].startswith("expired: enrolled before")
    doctor = run("--gallery", gallery, "--json", "doctor")
    assert doctor.status == 0
    (finding,) = (entry for entry in doctor.json if entry["code"] == "expired")
    assert (finding["severity"], finding["message"]) == ("note", "3 references have expired and answer no query.")
    dry = run("--gallery", gallery, "--json", "subjects", "purge", "--dry-run").json
    assert ([reference["subject"] for reference in dry["expired"]], dry["receipts"]) == (["ada"] * 3, [])
    done = run("--gallery", gallery, "--json", "subjects", "purge")
    assert done.status == 0
    (receipt,) = done.json["receipts"]
    assert (receipt["result"], len(receipt["references"])) == ("erased", 3)
    assert run("--gallery", gallery, "subjects", "purge").out == "Nothing has expired.\n"
    assert "ada" not in {entry["subject"] for entry in run("--gallery", gallery, "--json", "subjects", "list").json}
    rows = run("--gallery", gallery, "--json", "audit", "--last", "2").json
    assert [row["action"] for row in rows] == ["purge", "verify"]
    assert rows[0]["details"]["references"] == receipt["references"]


def test_the_audit_lists_acts_without_names(run: Run, gallery: Path, tmp_path: Path) -> None:
    run("--gallery", gallery, "subjects", "rename", "ben", "Benjamin")
    file = tmp_path / "ben.zip"
    assert run("--gallery", gallery, "--json", "subjects", "export", "Benjamin", file).json["references"] == 3
    with zipfile.ZipFile(file) as archive:
        value = json.loads(archive.read("subject.json"))
        assert archive.read("crops/4.jpg").startswith(b"\xff\xd8")
    assert value["subject"]["name"] == "Benjamin"
    assert run("--gallery", gallery, "subjects", "export", "Benjamin", file).status == 2
    rows = run("--gallery", gallery, "--json", "audit").json
    assert [row["action"] for row in rows][-2:] == ["rename", "export"]
    assert set(rows[0]) == {"id", "time", "actor", "action", "subjects", "details"}
    assert "enj" not in json.dumps(rows)
    printed = run("--gallery", gallery, "audit", "--last", "1")
    assert printed.out.splitlines()[0].split() == ["row", "time", "(UTC)", "who", "action", "subjects", "details"]
    assert "export" in printed.out


def test_a_pending_erasure_ends_with_6_and_says_what_holds_it(
    run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(gallery) as opened:
        crop = opened.store.references.crop(1)
    copy = gallery / "copy.jpg"
    copy.write_bytes(crop or b"")
    result = run("--gallery", gallery, "subjects", "erase", "ada", "--yes")
    assert result.status == 6
    assert result.out.startswith("ada: pending, 3 references, 3 samples; searched")
    assert "pending: a file in the gallery's folder that is not the gallery's holds erased bytes" in result.err
    assert "pending: copy.jpg" in result.err
    assert run("--gallery", gallery, "doctor").status == 6
    copy.unlink()
    assert run("--gallery", gallery, "doctor", "--repair").status == 0
    assert run("--gallery", gallery, "doctor").status == 0
