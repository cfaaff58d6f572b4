"""Detection on drawn faces, whose landmarks are known."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.embedder.drawn_faces import BACKGROUND, drawn_face, error, landmarks, photo
from twindex.embedder.faces import mtcnn_graph as mtcnn
from twindex.embedder.faces.detector import Detector, prominence
from twindex.errors import IntegrityError
from twindex.types import Face

# Of the distance between the eyes; the networks were trained on photographs, not on drawings.
TOLERANCE = 0.12


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.mark.parametrize("side", [80, 150, 300])
def test_landmarks_of_an_upright_face(detector: Detector, side: int) -> None:
    (face,) = detector.detect(photo((side + 60, side + 40), (side, 30, 20)))
    assert error(face.landmarks, landmarks(side, 30, 20)) < TOLERANCE
    assert 0.7 < face.confidence <= 1


@pytest.mark.parametrize("degrees", [-15, 10])
def test_landmarks_of_a_turned_face(detector: Detector, degrees: int) -> None:
    image = drawn_face(200).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=BACKGROUND)
    (face,) = detector.detect(np.asarray(image))
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert error(face.landmarks, (landmarks(200) - 99.5) @ turn + 99.5) < TOLERANCE


def test_the_box_holds_the_landmarks_and_is_as_large_as_a_face(detector: Detector) -> None:
    (face,) = detector.detect(photo((300, 260), (200, 40, 30)))
    box = face.box
    assert (face.landmarks > (box.x, box.y)).all()
    assert (face.landmarks < (box.x + box.width, box.y + box.height)).all()
    # The drawn face is 100 px wide and about 130 px high from brow to chin.
    assert 70 < box.width < 130
    assert 100 < box.height < 170


def test_a_large_photo_is_searched_reduced_and_its_faces_are_in_its_own_pixels(detector: Detector) -> None:
    (face,) = detector.detect(photo((2600, 1400), (900, 1500, 300)))
    assert error(face.landmarks, landmarks(900, 1500, 300)) < TOLERANCE


def test_several_faces_most_prominent_first(detector: Detector) -> None:
    places = [(120, 20, 20), (240, 220, 30), (120, 520, 180)]
    faces = detector.detect(photo((660, 320), *places))
    assert len(faces) == 3
    assert error(faces[0].landmarks, landmarks(*places[1])) < TOLERANCE
    nearest = {min(range(3), key=lambda i: error(face.landmarks, landmarks(*places[i]))) for face in faces}
    assert nearest == {0, 1, 2}


def test_boxes_stay_inside_the_photo(detector: Detector) -> None:
    cut = photo((200, 200), (240, -50, -20))
    (face,) = detector.detect(cut)
    box = face.box
    assert box.x >= 0
    assert box.y >= 0
    assert box.x + box.width <= 200
    assert box.y + box.height <= 200
    assert error(face.landmarks, landmarks(240, -50, -20)) < TOLERANCE


@pytest.mark.parametrize("shape", [(1, 1), (11, 300), (30000, 1), (30000, 20), (12, 12), (240, 320)])
def test_no_face_in_blank_and_extreme_pictures(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_no_face_in_noise(detector: Detector) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    assert detector.detect(noise) == []


def test_min_face_excludes_smaller_ones() -> None:
    image = photo((300, 200), (80, 10, 10))
    assert len(Detector(min_face=20).detect(image)) == 1
    assert Detector(min_face=120).detect(image) == []


def test_min_face_below_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12 px, got 11"):
        Detector(min_face=11)


def test_a_read_only_photo_is_accepted_and_unchanged(detector: Detector) -> None:
    image = photo((200, 200), (200, 0, 0))
    before = image.copy()
    image.flags.writeable = False
    assert len(detector.detect(image)) == 1
    np.testing.assert_array_equal(image, before)


def test_threads_share_one_detector() -> None:
    images = [photo((side + 20, side + 10), (side, 10, 5)) for side in (90, 120, 150, 180)] * 3
    alone = [Detector().detect(image) for image in images[:4]] * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(Detector().detect, images))
    for expected, found in zip(alone, together, strict=True):
        assert values(found) == values(expected)


def test_networks_kept_in_a_cache_folder_give_the_same_answer(detector: Detector, tmp_path: Path) -> None:
    image = photo((260, 240), (200, 30, 20))
    expected = values(detector.detect(image))
    assert values(Detector(cache=tmp_path).detect(image)) == expected
    assert len(list(tmp_path.iterdir())) == 3
    assert values(Detector(cache=tmp_path).detect(image)) == expected


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtcnn, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(IntegrityError, match=r"weights mtcnn\.safetensors are damaged"):
        Detector().detect(photo((100, 100)))


def test_prominence_prefers_large_and_central() -> None:
    boxes = np.array([[40, 40, 59, 59], [0, 0, 19, 19], [10, 40, 49, 59]], np.float32)
    expected = [400, 400 / (1 + 8 * 0.8**2), 800 / (1 + 8 * 20**2 / (2 * 50**2))]
    np.testing.assert_allclose(prominence(boxes, 100, 100), expected, rtol=1e-6)


def test_a_portrait_at_the_side_comes_before_a_passer_by_in_the_middle() -> None:
    portrait, passer_by = [250, 500, 500, 800], [890, 570, 950, 640]
    assert prominence(np.array([passer_by, portrait], np.float32), 1800, 1200).argmax() == 1


def values(faces: list[Face]) -> list[tuple[object, ...]]:
    return [(face.box, face.landmarks.tolist(), face.confidence) for face in faces]
