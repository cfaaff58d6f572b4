"""Checks beyond single rows: missing templates, snapshots that differ, the folder, the libraries."""

import stat
from pathlib import Path

import pytest

from tests.gallery.builders import BrightnessEmbedder, drawn_crop, enrol, template
from tests.gallery.doctor.test_checkup import execute
from twindex.config import DATABASE
from twindex.embedder.model.registry import find_model
from twindex.errors import IntegrityError, UsageError
from twindex.gallery import Gallery
from twindex.gallery.doctor import folder_checks, library_checks
from twindex.gallery.doctor.checkup import examine, notes
from twindex.gallery.doctor.findings import REPAIR, Finding
from twindex.gallery.doctor.folder_checks import check_folder, unopenable
from twindex.gallery.doctor.library_checks import check_libraries, parsed_version
from twindex.gallery.doctor.mending import mend
from twindex.jobs.reindex import reindex


def codes(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.severity, finding.remedy) for finding in findings]


def test_references_without_a_template_get_one(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    enrol(gallery, 2, "bob")
    gallery.searchable().compact()
    gallery.close()
    execute(folder, "DELETE FROM templates WHERE id = 2")
    with Gallery.open(folder) as again:
        findings = examine(again)
        assert ("template_missing", "error", "embed_missing") in codes(findings)
        mend(again, findings)
        assert examine(again) == []
        fingerprint = again.active().fingerprint
        expected = BrightnessEmbedder(fingerprint).embed(drawn_crop(2)[None])
        assert again.searchable().search(expected, 1).references.tolist() == [[2]]
        assert len(template(again, 2)) == 64


def test_without_crops_a_missing_template_stays_missing(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    execute(folder, "DELETE FROM templates")
    execute(folder, "UPDATE samples SET crop = NULL, crop_sha256 = NULL")
    (finding,) = examine(gallery)
    assert (finding.code, finding.mendable) == ("template_missing", False)
    assert "enrol their photos again" in finding.advice


def test_a_snapshot_that_differs_from_the_store_is_refused(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    enrol(gallery, 2, "bob")
    gallery.searchable().compact()
    # Delete a reference behind the change log's back: the snapshot still has it.
    execute(folder, "DELETE FROM templates WHERE id = 2")
    execute(folder, 'DELETE FROM "references" WHERE id = 2')
    execute(folder, "DELETE FROM samples WHERE id = 2")
    findings = examine(gallery)
    assert codes(findings) == [("snapshot", "error", "forget_snapshot")]
    assert "differ in 1 references" in findings[0].text
    gallery.close()
    with Gallery.open(folder) as again:
        mend(again, findings)
        assert examine(again) == []


def test_an_enrolment_after_the_snapshot_is_not_a_difference(gallery: Gallery) -> None:
    enrol(gallery, 1, "ada")
    gallery.searchable().compact()
    enrol(gallery, 2, "bob")
    assert examine(gallery) == []


def test_an_unfinished_generation_is_a_note(gallery: Gallery) -> None:
    gallery.store.generations.add("b2" * 32, "Flat")
    assert codes(examine(gallery)) == [("generation_unfinished", "note", "none")]


def test_without_an_active_generation_nothing_answers(gallery: Gallery, folder: Path) -> None:
    execute(folder, "UPDATE generations SET state = 'retired'")
    assert codes(examine(gallery)) == [("generation_missing", "error", "none")]
    assert notes(gallery) == []


def test_following_the_advice_activates_a_generation(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    gallery.store.generations.add("b2" * 32, "Flat")
    execute(folder, "UPDATE generations SET state = 'retired'")
    with pytest.raises(UsageError, match="run `twindex reindex --model default`"):
        reindex(gallery, None, None, lambda _done, _total: None)
    report = reindex(gallery, find_model("default"), None, lambda _done, _total: None)
    assert (report.references, report.failed, gallery.active().index_spec) == (1, 0, "auto")
    assert examine(gallery) == []


def test_a_folder_among_the_snapshots_is_removed(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    (gallery.snapshots / "@thumbnails").mkdir(parents=True)
    (gallery.snapshots / "@thumbnails" / "one").touch()
    gallery.searchable().compact()
    findings = examine(gallery)
    assert codes(findings) == [("snapshot_unlisted", "error", "unlink_file")]
    mend(gallery, findings)
    assert not (gallery.snapshots / "@thumbnails").exists()
    assert examine(gallery) == []


def test_a_foreign_schema_stops_the_checks_that_rely_on_it(gallery: Gallery, folder: Path) -> None:
    execute(folder, "CREATE VIEW v AS SELECT 1")
    assert codes(examine(gallery)) == [("schema", "error", "none")]


def test_leftovers_are_found_and_removed(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    assert check_folder(folder) == []
    (folder / f".{DATABASE}.00ff.new").write_bytes(b"faces")
    (folder / f".{DATABASE}.00ff.new-journal").write_bytes(b"faces")
    rekeyed = folder / f".{DATABASE}.00ff.rekey"
    rekeyed.mkdir()
    (rekeyed / DATABASE).write_bytes(b"faces")
    beside = folder.parent / f".{folder.name}.abc.twindex-partial"
    beside.mkdir()
    (beside / DATABASE).write_bytes(b"faces")
    (folder.parent / ".other.abc.twindex-partial").mkdir()
    findings = check_folder(folder)
    assert codes(findings) == [("leftover", "warning", "remove_leftover")] * 4
    assert mend(gallery, findings) == [finding.text for finding in findings]
    assert check_folder(folder) == []
    assert (folder.parent / ".other.abc.twindex-partial").exists()
    assert gallery.store.audit.rows()[-1].details == {"mended": {"leftover": 4}}


def test_foreign_files_are_a_note(gallery: Gallery, folder: Path) -> None:
    for number in range(7):
        (folder / f"copy {number}.jpg").write_bytes(b"face")
    for suffix in ("-journal", "-mj0123ABCD0"):
        (folder / f"{DATABASE}{suffix}").touch(mode=0o600)
    (finding,) = check_folder(folder)
    assert codes([finding]) == [("foreign_files", "note", "none")]
    named = ", ".join(f"copy {number}.jpg" for number in range(5))
    assert f"no erasure reaches them (7): {named}, ..." in finding.text


def test_access_of_other_users_is_removed(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, 1, "ada")
    (folder / DATABASE).chmod(0o664)
    folder.chmod(0o777)
    findings = [finding for finding in check_folder(folder) if finding.code == "open_to_others"]
    assert [Path(finding.file).name for finding in findings] == [DATABASE, folder.name]
    mend(gallery, [*findings, Finding("Gone.", "close_to_others", file=str(folder / "gone"))])
    assert check_folder(folder) == []
    assert stat.S_IMODE((folder / DATABASE).stat().st_mode) == 0o660
    assert stat.S_IMODE(folder.stat().st_mode) == 0o775


def test_a_log_that_sqlite_can_damage_is_a_warning(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_checks, "journal_is_unsafe", lambda header: True)
    assert codes(check_folder(folder)) == [("sqlite_wal", "warning", "change_journal")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "database_empty"),
        (b"SQLite format 3\0" + bytes(200), "database_foreign"),
        (b"x" * 200, "database_unusable"),
    ],
)
def test_a_database_that_cannot_be_opened_is_a_finding(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    (tmp_path / DATABASE).chmod(0o600)
    with pytest.raises(IntegrityError, match=DATABASE) as error:
        Gallery.open(tmp_path)
    assert unopenable(tmp_path, error.value).code == code
    assert check_folder(tmp_path) == []


def test_libraries_with_known_defects_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_libraries() == []
    monkeypatch.setattr(library_checks, "version", lambda package: "1.20.1.post1")
    assert [finding.text.split()[:2] for finding in check_libraries()] == [["keras", "1.20.1.post1"]]
    monkeypatch.setattr(library_checks, "version", lambda package: "1.15.0")
    found = check_libraries()
    assert [finding.text.split()[:2] for finding in found] == [["faiss-cpu", "1.15.0"], ["keras", "1.15.0"]]
    assert found[0].advice == "Install faiss-cpu 1.15.1 or later."

    def missing(package: str) -> str:
        raise library_checks.PackageNotFoundError(package)

    monkeypatch.setattr(library_checks, "version", missing)
    assert check_libraries() == []


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.15.1", (1, 15, 1)), ("3.13.0rc1", (3, 13, 0)), ("2.0.post1", (2, 0)), ("dev", ())]
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    assert parsed_version(text) == numbers


def test_a_finding_as_json() -> None:
    assert Finding("Text.", "unlink_file", code="x", severity="warning", mended=True).to_json() == {
        "code": "x",
        "severity": "warning",
        "message": "Text.",
        "remedy": REPAIR,
        "mended": True,
    }
    assert Finding("Text.", advice="Do this.").to_json()["remedy"] == "Do this."
