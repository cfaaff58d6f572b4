"""A calibration from folders of photos, as a Python user calls it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.gallery.builders import drawn_crop, enrol
from tests.gallery.threshold.test_operating_point import CardedEmbedder
from twindex.errors import UsageError
from twindex.gallery import Gallery
from twindex.gallery.threshold.calibration import calibrate_gallery, recalibrate_gallery
from twindex.gallery.threshold.outcome import StrangerPhotos

NAMES = ("ada", "ben", "cy")


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    monkeypatch.setattr(Gallery, "embedder", lambda self, fingerprint: CardedEmbedder(fingerprint))
    with Gallery.create(tmp_path / "gallery") as opened:
        for number, name in enumerate(NAMES):
            enrol(opened, number, name)
        yield opened


@pytest.fixture
def visitors(tmp_path: Path) -> StrangerPhotos:
    """Two people with three faces, and a file that is not a photo."""
    folder = tmp_path / "visitors"
    for number, name in enumerate(("eve/1.png", "eve/2.png", "zoe.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn_crop(100 + number)).save(folder / name)
    (folder / "broken.png").write_bytes(b"not a photo")
    return StrangerPhotos(folder, pre_cropped=True)


def test_strangers_in_a_folder_set_the_threshold(gallery: Gallery, visitors: StrangerPhotos) -> None:
    steps: list[tuple[int, int]] = []
    failed: list[tuple[str, str]] = []
    found = calibrate_gallery(
        gallery,
        0.4,
        visitors,
        listener=lambda done, total: steps.append((done, total)),
        unusable=lambda photo, code: failed.append((photo.name, code)),
    )
    assert (found.method, found.point.strangers, found.target_fpir, found.gallery_size) == ("non-mated", 2, 0.4, 3)
    assert found.fpir_bound == pytest.approx(1 / 3)
    assert found.fnir is None
    assert gallery.threshold(gallery.active().fingerprint) == found.threshold == found.to_json()["threshold"]
    assert (steps[0], steps[-1]) == ((0, 4), (4, 4))
    assert failed == [("broken.png", "unreadable")]


def test_without_a_folder_the_enrolled_are_left_out_in_turn(gallery: Gallery) -> None:
    found = calibrate_gallery(gallery)
    assert (found.method, found.point.strangers, found.target_fpir) == ("leave-one-subject-out", 3, 0.01)
    assert (found.point.enough, found.fewest_strangers) == (False, 199)


def test_a_threshold_that_fits_is_not_set_again(gallery: Gallery, visitors: StrangerPhotos) -> None:
    first = recalibrate_gallery(gallery, 0.4, visitors)
    assert first is not None
    assert recalibrate_gallery(gallery) is None
    assert recalibrate_gallery(gallery, 0.4, visitors) is None
    other = recalibrate_gallery(gallery, 0.5)
    assert other is not None
    assert (other.method, other.target_fpir) == ("non-mated", 0.5)
    enrol(gallery, 3, "dora")
    grown = recalibrate_gallery(gallery)
    assert grown is not None
    assert (grown.subjects, grown.target_fpir, grown.point.strangers) == (4, 0.5, 2)


def test_a_folder_that_is_gone_leaves_the_threshold(gallery: Gallery, visitors: StrangerPhotos) -> None:
    before = calibrate_gallery(gallery, 0.4, visitors).threshold
    with pytest.raises(UsageError, match="gone no longer exists; name another"):
        calibrate_gallery(gallery, 0.4, visitors.folder / "gone")
    assert gallery.threshold(gallery.active().fingerprint) == before
