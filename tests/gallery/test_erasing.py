"""Erasure leaves no bytes in any file, for every index type, and its receipt says so."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.gallery.builders import drawn_crop, enrol, template
from tests.storage.builders import DIM, crop_bytes, remnants, request, sample, unit_vector
from tests.storage.checks.test_file_search import weaken
from twindex.config import DATABASE
from twindex.embedder.faces.alignment import encode_crop
from twindex.gallery import Gallery
from twindex.gallery.captures import Capture
from twindex.gallery.doctor.checkup import examine
from twindex.gallery.doctor.mending import mend
from twindex.gallery.erasing import verify
from twindex.gallery.search.candidates import best_subjects
from twindex.gallery.search.searchable import open_snapshot
from twindex.scoring import Head
from twindex.storage import Store
from twindex.storage.sqlite.database import Database
from twindex.storage.values.terms import Terms

LATER = datetime.now(UTC) + timedelta(days=1)


def filled(gallery: Gallery, people: int) -> tuple[int, bytes, bytes]:
    """Enrol some people; returns the first person's reference, template and crop."""
    captures = [
        Capture(sample(number, crop=encode_crop(drawn_crop(number))), f"subject {number}") for number in range(people)
    ]
    reference = gallery.commit(captures)[0].reference
    assert reference is not None
    crop = gallery.store.references.crop(reference)
    assert crop is not None
    return reference, template(gallery, reference), crop


def picture(crop: bytes) -> bytes:
    """A crop without its leading JPEG tables, which all crops share."""
    return crop[crop.index(b"\xff\xda") + 14 :]


def test_a_snapshot_that_another_process_lists_meanwhile_stays(gallery: Gallery, folder: Path) -> None:
    filled(gallery, 3)
    erasure = gallery.store.subjects.erase("subject 0")
    with Gallery.open(folder) as other:
        listed = other.searchable().compact()
    receipt = verify(gallery.store, folder, gallery.snapshots, erasure)
    assert receipt.result == "erased"
    assert open_snapshot(gallery.store, gallery.snapshots, gallery.active(), DIM).count == listed.count == 2


@pytest.mark.parametrize(
    ("index", "structure", "journal"),
    [
        ("flat", "Flat", "truncate"),
        ("hnsw", "HNSW32", "truncate"),
        ("IVF4,Flat", "IVF4,Flat", "truncate"),
        ("sq8", "SQ8", "truncate"),
        ("PQ4x4fs", "PQ4x4fs", "truncate"),
        ("auto", "Flat", "truncate"),
        ("flat", "Flat", "wal"),  # the journal is the database's, whatever the index
    ],
)
def test_nothing_of_the_erased_is_in_any_file(
    gallery: Gallery, folder: Path, index: str, structure: str, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: journal)
    gallery.close()
    with Gallery.open(folder) as opened:
        fingerprint = opened.active().fingerprint
        opened.store.references.enroll_many(
            [request(number, f"subject {number}") for number in range(700)], fingerprint
        )
        opened.store.generations.activate(opened.store.generations.add(fingerprint, index).id)
        opened.searchable().compact()
        assert opened.searchable().structure == structure
        vector, crop = unit_vector(0).tobytes(), crop_bytes(0)
        assert remnants(folder, vector)
        receipt = opened.erase("subject 0")
        assert (receipt.result, receipt.verified_by, receipt.references) == ("erased", "scan", (1,))
        assert (receipt.samples, receipt.templates, receipt.found_in) == (1, 1, ())
        assert not list(opened.snapshots.iterdir())
        assert remnants(folder, vector) == remnants(folder, crop) == []
        opened.searchable().compact()
        assert opened.searchable().count == 699
        assert remnants(folder, vector) == []
        assert remnants(folder, unit_vector(1).tobytes())


def test_the_receipt_is_in_the_audit_and_identifies_nobody(gallery: Gallery, folder: Path) -> None:
    _, vector, _ = filled(gallery, 2)
    receipt = gallery.erase("subject 0")
    erase, verify = gallery.store.audit.rows()[-2:]
    assert (erase.action, verify.action) == ("erase", "verify")
    assert verify.details["erasure"] == receipt.erasure == erase.id
    recorded = {
        name: receipt.to_json()[name] for name in ("result", "verified_by", "files", "bytes", "time", "found_in")
    }
    assert recorded.items() <= verify.details.items()
    assert b"subject 0" not in (folder / DATABASE).read_bytes()
    assert remnants(folder, vector) == []


def test_a_database_that_still_holds_bytes_is_rewritten(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.close()
    weaken(monkeypatch, "PRAGMA secure_delete = OFF")
    with Gallery.open(folder) as opened:
        _, vector, crop = filled(opened, 3)
        assert opened.erase("subject 0").result == "erased"
        assert remnants(folder, vector) == remnants(folder, picture(crop)) == []


def test_an_erasure_without_secure_delete_and_rewriting_is_pending(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.close()
    with monkeypatch.context() as guards:
        weaken(guards, "PRAGMA secure_delete = OFF")
        guards.setattr(Database, "rewrite", lambda self: None)
        with Gallery.open(folder) as opened:
            _, vector, _ = filled(opened, 3)
            receipt = opened.erase("subject 0")
            assert (receipt.result, receipt.found_in, receipt.files_left) == ("pending", ("database",), (DATABASE,))
            assert remnants(folder, vector) == [DATABASE]
    with Gallery.open(folder) as opened:
        findings = examine(opened)
        assert [(finding.remedy, finding.erasure) for finding in findings] == [("finish_erasure", receipt.erasure)]
        assert "is pending: database." in findings[0].text
        assert mend(opened, findings) == [findings[0].text]
        assert remnants(folder, vector) == []
        assert examine(opened) == []
        assert opened.store.audit.rows()[-1].details["verified_by"] == "structure"


def test_one_cut_short_before_its_search_is_finished_by_writing_the_database_anew(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.close()
    with monkeypatch.context() as guards:
        weaken(guards, "PRAGMA secure_delete = OFF")
        with Gallery.open(folder) as opened:
            _, vector, _ = filled(opened, 3)
            opened.store.subjects.erase("subject 0")
    assert remnants(folder, vector) == [DATABASE]
    with Gallery.open(folder) as opened:
        findings = examine(opened)
        assert "is pending: it was interrupted." in findings[0].text
        mend(opened, findings)
        assert remnants(folder, vector) == []
        assert examine(opened) == []


def test_a_skipped_checkpoint_makes_it_pending(gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "wal")
    gallery.close()
    with Gallery.open(folder) as opened:
        filled(opened, 3)
        with monkeypatch.context() as guards:
            guards.setattr(Database, "truncate_journal", lambda self: True)
            guards.setattr(Database, "rewrite", lambda self: None)
            receipt = opened.erase("subject 0")
        assert receipt.result == "pending"
        assert "journal" in receipt.found_in


def test_a_reader_makes_it_pending_and_the_doctor_finishes_it(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database.journal_mode", lambda version: "wal")
    monkeypatch.setattr("twindex.storage.sqlite.database._CHECKPOINT_MILLISECONDS", 10)
    gallery.close()
    with Gallery.open(folder) as opened:
        _, vector, crop = filled(opened, 3)
        with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM templates").fetchone()
            receipt = opened.erase("subject 0")
            assert receipt.result == "pending"
            assert "journal" in receipt.found_in
            assert remnants(folder, vector)
            (folder / "notes.txt").write_text("searched, nothing found")
            findings = examine(opened)
            assert [finding.erasure for finding in findings] == [receipt.erasure]
            assert "notes.txt" not in findings[0].text
            assert mend(opened, findings) == []
            assert len(examine(opened)) == 1
        assert len(mend(opened, examine(opened))) == 1
        assert examine(opened) == []
        assert remnants(folder, vector) == remnants(folder, picture(crop)) == []


def test_an_erasure_cut_short_is_finished(gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, vector, _ = filled(gallery, 3)
    gallery.searchable().compact()
    with monkeypatch.context() as killed:

        def die(store: Store, folder: Path, values: object) -> None:
            raise KeyboardInterrupt("killed")

        killed.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        killed.setattr(Store, "search_files", die)
        with pytest.raises(KeyboardInterrupt, match="killed"):
            gallery.erase("subject 0")
    assert len(remnants(folder, vector)) == 1
    findings = examine(gallery)
    assert "(audit 2) is pending: it was interrupted." in findings[0].text
    assert len(mend(gallery, findings)) == 2
    assert examine(gallery) == []
    assert remnants(folder, vector) == []


def test_a_strange_file_keeps_it_pending_until_it_is_gone(gallery: Gallery, folder: Path) -> None:
    _, _, crop = filled(gallery, 3)
    strange = folder / "Augusta King.jpg"
    strange.write_bytes(crop)
    receipt = gallery.erase("subject 0")
    assert (receipt.result, receipt.found_in, receipt.files_left) == ("pending", ("other",), (strange.name,))
    assert mend(gallery, examine(gallery)) == []
    assert b"Augusta" not in (folder / DATABASE).read_bytes()
    strange.unlink()
    assert len(mend(gallery, examine(gallery))) == 1
    assert examine(gallery) == []


def test_one_cut_short_stays_pending_while_a_file_is_there_that_nobody_has_searched(
    gallery: Gallery, folder: Path
) -> None:
    filled(gallery, 3)
    gallery.store.audit.add("note", {})
    copy = folder / "old" / "copy.sqlite"
    copy.parent.mkdir()
    copy.write_bytes((folder / DATABASE).read_bytes())
    gallery.store.subjects.erase("subject 0")
    assert mend(gallery, examine(gallery)) == []
    (finding,) = examine(gallery)
    assert "is pending: other. Remove the files that are not the gallery's" in finding.text
    assert str(copy.relative_to(folder)) in finding.text
    copy.unlink()
    assert len(mend(gallery, examine(gallery))) == 1
    assert examine(gallery) == []


def test_a_purge_leaves_nothing_of_the_expired(gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.gallery.service.PURGED_AT_ONCE", 2)
    for number in range(3):
        crop = encode_crop(drawn_crop(number))
        gallery.commit([Capture(sample(number, crop=crop), f"subject {number}", Terms(expires=LATER))])
    reference = enrol(gallery, 3, "subject 3")
    gallery.searchable().compact()
    vectors = [template(gallery, number) for number in range(1, 4)]
    assert gallery.purge(datetime.now(UTC)) == []
    receipts = gallery.purge(LATER)
    assert [(receipt.references, receipt.result) for receipt in receipts] == [((1, 2), "erased"), ((3,), "erased")]
    assert [remnants(folder, vector) for vector in vectors] == [[], [], []]
    assert gallery.searchable().references().tolist() == [reference]
    assert examine(gallery) == []


def test_an_expired_reference_answers_no_query(gallery: Gallery, folder: Path) -> None:
    soon = Terms(expires=LATER)
    gallery.commit([Capture(sample(1, crop=encode_crop(drawn_crop(1))), "ada", soon)])
    enrol(gallery, 2, "bob")
    probe = np.frombuffer(template(gallery, 1), np.float32)

    def found() -> list[str]:
        return [
            candidate.subject
            for candidate in best_subjects(gallery.store, gallery.searchable(), probe, Head(-8.0, 8.0), 5)
        ]

    assert found() == ["ada", "bob"]
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("""UPDATE "references" SET expires = '2001-01-01T00:00:00.000000+00:00' WHERE id = 1""")
        connection.commit()
    assert found() == ["bob"]
