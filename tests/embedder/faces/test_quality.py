"""Sharpness against values worked out by hand."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.embedder.drawn_faces import drawn_face
from twindex.embedder.faces.quality import eye_distance, sharpness


def test_a_blank_crop_has_no_sharpness() -> None:
    assert sharpness(np.full((256, 256, 3), 90, np.uint8)) == 0


def test_a_single_bright_pixel() -> None:
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[60, 60] = 100
    # The Laplacian is -400 there and 100 at four neighbours; its mean over the 126 x 126 inner pixels is 0.
    assert sharpness(crop) == pytest.approx((400**2 + 4 * 100**2) / 126**2)


def test_crops_of_all_sizes_are_comparable() -> None:
    crop = np.random.default_rng(3).integers(0, 256, (128, 128, 3), np.uint8)
    assert sharpness(crop.repeat(2, axis=0).repeat(2, axis=1)) == pytest.approx(sharpness(crop))


def test_blur_lowers_the_sharpness() -> None:
    face = drawn_face(256)
    values = [sharpness(np.asarray(face.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]


def test_colours_count_as_grey() -> None:
    half = Image.new("RGB", (128, 128), (0, 0, 0))
    half.paste((0, 0, 255), (0, 0, 64, 128))
    # Blue is 29 grey levels (ITU-R BT.601): the step gives two columns of 29 and -29.
    assert sharpness(np.asarray(half)) == pytest.approx(2 * 29**2 / 126)


def test_eye_distance_from_the_front() -> None:
    landmarks = np.array([[10, 20], [13, 24], [11, 22], [11, 24], [12, 25]], np.float32)
    assert eye_distance(landmarks) == 5


def test_a_profile_is_measured_by_its_height() -> None:
    front = np.array([[38.3, 51.6], [73.5, 51.6], [56, 71.7], [41.5, 92.3], [70.7, 92.3]], np.float32)
    profile = np.stack([front[:, 0] * 0.1, front[:, 1]], axis=1)
    assert eye_distance(profile) == pytest.approx(eye_distance(front), rel=0.01)
