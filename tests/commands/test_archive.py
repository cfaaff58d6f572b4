"""`twindex export`, `import` and `doctor` as a user calls them."""

from pathlib import Path

from tests.commands.conftest import Run


def test_an_exported_gallery_answers_the_same_elsewhere(run: Run, gallery: Path, people: Path, tmp_path: Path) -> None:
    photo = sorted((people / "probes").rglob("*.jpg"))[0]
    before = run("--gallery", gallery, "--json", "query", photo).out
    written = run("--gallery", gallery, "--json", "export", tmp_path / "backup").json
    assert (written["subjects"], written["bytes"]) == (12, (tmp_path / "backup").stat().st_size)
    made = run("--gallery", tmp_path / "new", "--json", "import", tmp_path / "backup").json
    assert {name: made[name] for name in ("gallery_id", "revision", "subjects", "references", "model")} == {
        name: written[name] for name in ("gallery_id", "revision", "subjects", "references", "model")
    }
    assert run("--gallery", tmp_path / "new", "--json", "query", photo).out == before
    assert run("--gallery", tmp_path / "new", "doctor").status == 0
    audit = run("--gallery", tmp_path / "new", "--json", "audit").json
    assert audit[-1]["action"] == "import"
    assert audit[-1]["details"] == {name: written[name] for name in ("revision", "subjects", "references")}
    assert written["audited"]
    kept = run("--gallery", gallery, "--json", "audit", "--last", "1").json[0]
    assert (kept["action"], kept["details"]) == ("export", audit[-1]["details"])


def test_refusals_have_codes_and_statuses(run: Run, gallery: Path, tmp_path: Path) -> None:
    assert run("--gallery", gallery, "export", tmp_path / "a").status == 0
    again = run("--gallery", gallery, "--json", "export", tmp_path / "a")
    assert (again.status, again.json["error"]["code"]) == (2, "usage")
    data = bytearray((tmp_path / "a").read_bytes())
    data[3_000] ^= 1
    (tmp_path / "b").write_bytes(data)
    refused = run("--gallery", tmp_path / "new", "--json", "import", tmp_path / "b")
    assert (refused.status, refused.json["error"]["code"]) == (6, "archive_changed")
    over = run("--gallery", gallery, "--json", "import", tmp_path / "a")
    assert (over.status, over.json["error"]["code"]) == (2, "usage")
    assert not (tmp_path / "new").exists()


def test_the_doctor_lists_findings_and_mends_them(run: Run, gallery: Path) -> None:
    (gallery / "gallery.sqlite").chmod(0o644)
    (gallery / "index").mkdir(exist_ok=True)
    (gallery / "index" / "stray").write_bytes(b"x")
    (gallery / "index" / "stray").chmod(0o644)
    first = run("--gallery", gallery, "--json", "doctor")
    assert first.status == 6
    assert [(finding["code"], finding["severity"], finding["mended"]) for finding in first.json[:3]] == [
        ("snapshot_unlisted", "error", False),
        ("open_to_others", "warning", False),
        ("open_to_others", "warning", False),
    ]
    second = run("--gallery", gallery, "--json", "doctor", "--repair")
    assert second.status == 0
    assert [(finding["code"], finding["mended"]) for finding in second.json[:3]] == [
        ("snapshot_unlisted", True),
        ("open_to_others", True),
        ("open_to_others", True),
    ]
    assert run("--gallery", gallery, "doctor").out.endswith("The gallery is sound.\n")


def test_the_doctor_reports_an_empty_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gallery.sqlite").touch(0o600)
    for options in ((), ("--repair",)):
        result = run("--gallery", tmp_path, "--json", "doctor", *options)
        assert (result.status, [finding["code"] for finding in result.json]) == (6, ["database_empty"])
        assert "twindex import" in result.json[0]["remedy"]
