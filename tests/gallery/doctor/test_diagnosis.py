"""The doctor's whole visit, as a Python user calls it."""

from pathlib import Path

import pytest

from tests.gallery.builders import enrol
from tests.gallery.doctor.test_checkup import execute
from twindex.config import DATABASE
from twindex.errors import UsageError
from twindex.gallery import Gallery
from twindex.gallery.doctor.diagnosis import diagnose
from twindex.gallery.doctor.findings import Finding
from twindex.gallery.doctor.mending import PENDING_ERASURE
from twindex.storage import Store


def states(findings: list[Finding]) -> list[tuple[str, bool, bool]]:
    return [(finding.code, finding.mended, finding.unresolved) for finding in findings]


@pytest.fixture
def damaged(gallery: Gallery, folder: Path) -> Path:
    """A closed gallery with a damaged template, a file in the index folder, and a database open to others."""
    enrol(gallery, 1, "ada")
    execute(folder, "UPDATE templates SET sha256 = x'00'")
    gallery.close()
    (folder / "index").mkdir(exist_ok=True)
    (folder / "index" / "stray").touch(0o600)
    (folder / DATABASE).chmod(0o664)
    return folder


def test_a_diagnosis_changes_nothing(damaged: Path) -> None:
    before = {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()}
    findings = diagnose(damaged)
    assert states(findings)[:3] == [
        ("template_damaged", False, True),
        ("snapshot_unlisted", False, True),
        ("open_to_others", False, False),
    ]
    assert diagnose(damaged) == findings
    assert {path: path.read_bytes() for path in before} == before


def test_a_repair_lists_first_what_it_mended(damaged: Path) -> None:
    findings = diagnose(damaged, repair=True)
    assert states(findings) == [
        ("template_damaged", True, False),
        ("snapshot_unlisted", True, False),
        ("open_to_others", True, False),
        ("threshold_age", False, False),
    ]
    assert states(diagnose(damaged)) == [("threshold_age", False, False)]


def test_a_repair_writes_nothing_to_a_database_with_a_foreign_schema(gallery: Gallery, folder: Path) -> None:
    gallery.close()
    execute(folder, "CREATE VIEW v AS SELECT 1")
    (folder / DATABASE).chmod(0o664)
    assert states(diagnose(folder, repair=True)) == [("schema", False, True), ("open_to_others", False, False)]


def test_a_database_that_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch(0o600)
    assert states(diagnose(tmp_path)) == states(diagnose(tmp_path, repair=True)) == [("database_empty", False, True)]


def test_erased_bytes_that_cannot_be_removed_yet_are_a_finding(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.close()
    monkeypatch.setattr(Store, "finish_erasure", lambda store: False)
    findings = diagnose(folder, repair=True)
    assert (findings[-1].text, findings[-1].unresolved) == (PENDING_ERASURE, True)


def test_without_a_gallery_there_is_nothing_to_diagnose(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no gallery in"):
        diagnose(tmp_path)
