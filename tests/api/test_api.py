"""What `import twindex` gives, as a Python program uses it."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twindex
from tests.corpus.people import PEOPLE
from twindex.jobs.reports import ItemReport

ADA = PEOPLE / "probes" / "ada" / "4.jpg"
GROUP = PEOPLE / "group.jpg"
BLANK = np.zeros((90, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[twindex.Gallery]:
    with twindex.open(tmp_path_factory.mktemp("api") / "gallery") as opened:
        report = opened.enroll(PEOPLE / "enrolled")
        assert (report.enrolled, report.skipped, report.failed, len(report.items)) == (36, 0, 0, 36)
        yield opened


@pytest.fixture
def own(tmp_path: Path) -> Iterator[twindex.Gallery]:
    with twindex.open(tmp_path / "gallery") as opened:
        opened.enroll(PEOPLE / "enrolled" / "ada", subject="Ada")
        yield opened


def pixels(photo: Path) -> np.ndarray:
    return np.asarray(Image.open(photo).convert("RGB"))


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, twindex; heavy = {'numpy', 'openvino', 'faiss', 'sqlalchemy', 'PIL', 'click', 'keras'}; "
        "print(sorted(heavy & set(sys.modules)), callable(twindex.open))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.split("\n")[0] == "[] True"


def test_every_public_name_is_there() -> None:
    assert set(twindex.__all__) <= set(dir(twindex))
    assert all(getattr(twindex, name) is not None for name in twindex.__all__ if name not in ("siamese", "bundle_from"))
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        twindex.opne  # noqa: B018 - the access is the test


@pytest.mark.parametrize("form", [str, Path, Path.read_bytes, pixels], ids=["str", "path", "bytes", "pixels"])
def test_a_photo_comes_in_any_form(gallery: twindex.Gallery, form) -> None:
    answer = gallery.identify(form(ADA), top=2)
    (face,) = answer.faces
    assert (face.subject, face.decision, len(face.candidates)) == ("ada", "match", 2)
    assert face.candidates[0].distance < face.candidates[1].distance


def test_all_faces_of_a_photo_are_answered(gallery: twindex.Gallery) -> None:
    answer = gallery.identify(GROUP, all_faces=True, top=2)
    for face in answer.faces:
        assert face.confidence == face.candidates[0].confidence
        assert (face.confidence > face.unknown) == (face.decision == "match")
        assert sum(candidate.confidence for candidate in face.candidates) + face.unknown <= 1
    assert sorted(face.subject or "" for face in answer.faces) == ["", "ada", "hugo", "zoë"]
    assert all(face.box is not None and face.box.width > 40 for face in answer.faces)
    assert gallery.identify(GROUP).rivals == 3


def test_a_photo_without_a_face_is_an_answer_with_an_error(gallery: twindex.Gallery) -> None:
    answer = gallery.identify(BLANK)
    assert answer.faces == ()
    assert isinstance(answer.error, twindex.PhotoError)
    assert answer.error.code == "no_face"
    assert gallery.identify("missing.jpg").error.code == "unreadable"


def test_enrolling_twice_skips_and_each_photo_is_reported_as_it_is_settled(gallery: twindex.Gallery) -> None:
    heard: list[ItemReport] = []
    report = gallery.enroll(
        [PEOPLE / "enrolled" / "ada", PEOPLE / "enrolled" / "ben"], subject="ada", listener=heard.append
    )
    assert heard == list(report.items)
    assert [item.reason for item in report.items[:3]] == ["already_enrolled"] * 3
    assert gallery.enroll(pixels(ADA), subject="ada").enrolled == 1
    assert gallery.enroll(pixels(ADA), subject="ada").skipped == 1


def test_one_face_of_a_photo_can_be_enrolled_by_its_number(own: twindex.Gallery) -> None:
    boxes = [face.box for face in own.identify(GROUP, all_faces=True).faces]
    report = own.enroll(GROUP, subject="third", face=3)
    assert (report.enrolled, report.items[0].rivals) == (1, 0)
    assert own.references("third")[0].face.box == boxes[2]
    failed = own.enroll(GROUP, subject="ninth", face=9)
    assert failed.items[0].reason.startswith("no_face: Face 9 was asked for, but the photo has 4 usable faces")
    with pytest.raises(twindex.UsageError, match="by its number from 1"):
        own.enroll(GROUP, subject="none", face=0)


def test_a_bad_photo_fails_alone(own: twindex.Gallery, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    report = own.enroll([bad, ADA], subject="Ada")
    assert (report.enrolled, report.failed) == (1, 1)
    assert own.enroll(b"no photo", subject="Ada").failed == 1


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        (b"bytes", "say whom it shows"),
        ("missing/", "does not exist"),
        (ADA, "is a file: say who it shows"),
        (3.5, "Expected a photo as a path, bytes or an array"),
        (np.zeros((4, 4), np.uint8), "Expected pixels"),
    ],
)
def test_what_cannot_be_enrolled_is_refused(own: twindex.Gallery, photos, message: str) -> None:
    subject = None if isinstance(photos, bytes | str | Path) else "Ada"
    with pytest.raises(twindex.UsageError, match=message):
        own.enroll(photos, subject)


def test_expired_references_answer_nothing_and_can_be_purged(own: twindex.Gallery) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    own.enroll(PEOPLE / "enrolled" / "ben", subject="Ben", expires=tomorrow, consent="form 7")
    terms = own.references("Ben")[0].terms
    assert (terms.consent, terms.expires.date()) == ("form 7", tomorrow)
    assert own.purge() == []
    with pytest.raises(twindex.UsageError, match="has already passed"):
        own.enroll(ADA, subject="Ada", expires=date(2020, 1, 1))


def test_people_can_be_renamed_merged_annotated_and_erased(own: twindex.Gallery) -> None:
    own.enroll(PEOPLE / "probes" / "ada", subject="A.")
    assert own.annotate("A.", {"desk": "4"}) == {"desk": "4"}
    assert own.merge("A.", "Ada") == 2
    own.rename("Ada", "Ada L.")
    assert [(person.subject, person.references) for person in own.subjects()] == [("Ada L.", 5)]
    assert own.subject("Ada L.").metadata == {"desk": "4"}
    receipt = own.erase("Ada L.")
    assert (receipt.result, len(receipt.references)) == ("erased", 5)
    assert own.identify(ADA).faces[0].candidates == ()
    with pytest.raises(twindex.UsageError, match="No subject named"):
        own.erase("Ada L.")


def test_jobs_can_be_listed_and_finished_ones_tell_their_photos(own: twindex.Gallery) -> None:
    (job,) = own.jobs()
    assert (job.kind, job.state) == ("enroll", "finished")
    assert [item.status for item in own.job_items(job.id)] == ["enrolled"] * 3
    with pytest.raises(twindex.UsageError, match="9"):
        list(own.job_items(9))


def test_the_index_can_be_changed_rolled_back_and_pruned(own: twindex.Gallery) -> None:
    assert own.reindex(index="hnsw").index == "HNSW32"
    assert own.identify(ADA).faces[0].subject == "Ada"
    assert own.roll_back().generation == 1
    assert own.prune() == (1, 0)
    own.compact()


def test_the_threshold_can_be_calibrated_and_reset(gallery: twindex.Gallery) -> None:
    default = gallery.identify(ADA).faces[0].threshold
    calibration = gallery.calibrate(0.2, PEOPLE / "strangers")
    assert (calibration.target_fpir, calibration.method) == (0.2, "non-mated")
    assert gallery.identify(ADA).faces[0].threshold == calibration.threshold
    assert gallery.reset_threshold() == pytest.approx(default)


def test_a_sound_gallery_has_no_unresolved_finding_and_a_lost_crop_is_one(own: twindex.Gallery) -> None:
    assert not any(finding.unresolved for finding in own.doctor())
    with sqlite3.connect(own.folder / "gallery.sqlite") as database:
        database.execute("UPDATE samples SET crop = x'00' WHERE id = 1")
    assert [finding.code for finding in own.doctor() if finding.unresolved] == ["crop_damaged"]


def test_two_photos_are_compared_with_and_without_a_gallery(own: twindex.Gallery) -> None:
    same, other = twindex.verify(ADA, PEOPLE / "probes" / "ada" / "5.jpg"), own.verify(ADA, pixels(GROUP))
    assert (same.match, other.match) == (True, False)
    assert same.distance < 1.0 < other.distance
    assert same.probability > same.threshold > other.probability
    with pytest.raises(twindex.PhotoError, match=r"photo in memory.*No face"):
        twindex.verify(ADA, BLANK)


def test_templates_are_of_unit_length_and_one_a_photo(own: twindex.Gallery) -> None:
    vectors = twindex.embed([ADA, ADA.read_bytes(), GROUP])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(own.embed(ADA), vectors[:1], atol=1e-3)
    assert twindex.embed([]).shape == (0, vectors.shape[1])


def test_faces_are_detected_with_landmarks_and_quality() -> None:
    faces = twindex.detect(GROUP)
    assert len(faces) == 4
    assert all(face.landmarks.shape == (5, 2) and face.quality > 4 and face.confidence > 0.7 for face in faces)
    assert twindex.detect(BLANK) == []
    with pytest.raises(twindex.PhotoError, match="not an intact photo"):
        twindex.detect(b"nothing")


def test_a_gallery_is_opened_or_made_as_asked(tmp_path: Path) -> None:
    with pytest.raises(twindex.UsageError, match="There is no gallery"):
        twindex.open(tmp_path / "none", create=False)
    with pytest.raises(twindex.UsageError, match="There is no gallery"):
        twindex.open(tmp_path / "none", read_only=True)
    with twindex.open(str(tmp_path / "made"), model="default") as made:
        assert made.folder == tmp_path / "made"
    with twindex.open(tmp_path / "made", model="twindex-112") as again:
        assert again.subjects() == []
