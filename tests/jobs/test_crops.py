import os
from pathlib import Path

from PIL import Image

import twindex.demo
from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.faces.reader import FaceReader
from twindex.jobs.crops import write_crops
from twindex.jobs.plan import plan_paths

PEOPLE = Path(twindex.demo.__file__).parent / "people" / "enrolled"


def some_photos(root: Path) -> Path:
    for name in ("ada", "ben"):
        (root / name).mkdir(parents=True)
        (root / name / "1.jpg").write_bytes((PEOPLE / name / "1.jpg").read_bytes())
    Image.new("RGB", (90, 90), "grey").save(root / "ada" / "blank.png")
    return root


def test_crops_are_what_enrolment_would_keep_and_bad_photos_are_told(tmp_path: Path) -> None:
    reader, seen = FaceReader(), []
    photos = list(plan_paths([some_photos(tmp_path / "photos")], None))
    refused = write_crops(photos, reader, tmp_path / "crops", lambda: seen.append(1))
    assert len(seen) == 3
    assert [(Path(photo.path).name, error.code) for photo, error in refused] == [("blank.png", "no_face")]
    crops = sorted((tmp_path / "crops").rglob("*.jpg"))
    assert [crop.parent.name for crop in crops] == ["ada", "ben"]
    data = (PEOPLE / "ben" / "1.jpg").read_bytes()
    assert crops[1].read_bytes() == reader.samples(data, "1.jpg")[0].crop
    assert decode_crop(crops[0].read_bytes()).shape == (256, 256, 3)


def test_a_second_run_keeps_the_crops_and_follows_the_folder(tmp_path: Path) -> None:
    root, reader = some_photos(tmp_path / "photos"), FaceReader()
    write_crops(list(plan_paths([root], None)), reader, tmp_path / "crops", lambda: None)
    before = {crop: crop.stat().st_mtime_ns for crop in (tmp_path / "crops").rglob("*.jpg")}
    leftover = tmp_path / "crops" / "ada" / ".0123456789abcdef.jpg.ab.twindex-partial"
    leftover.write_bytes(b"half a crop")
    os.utime(leftover, (0, 0))
    (root / "ada" / "1.jpg").rename(root / "ada" / "renamed.jpg")
    (root / "ben" / "1.jpg").unlink()
    write_crops(list(plan_paths([root], None)), reader, tmp_path / "crops", lambda: None)
    after = {crop: crop.stat().st_mtime_ns for crop in (tmp_path / "crops").rglob("*.jpg")}
    assert after == {crop: time for crop, time in before.items() if crop.parent.name == "ada"}
    assert not leftover.exists()
