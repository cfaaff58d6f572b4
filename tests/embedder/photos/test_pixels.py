import numpy as np
import pytest
from PIL import Image

from twindex.embedder.photos.pixels import picture, upright_rgb

PIXELS = np.random.default_rng(3).integers(0, 256, (1100, 1300, 3), np.uint8)  # more than one strip
STORED = {
    0: PIXELS,
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: np.rot90(PIXELS),
    7: np.rot90(PIXELS.transpose(1, 0, 2), 2),
    8: np.rot90(PIXELS, -1),
    9: PIXELS,
}


@pytest.mark.parametrize("orientation", STORED)
def test_many_strips_make_one_upright_photo(orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    np.testing.assert_array_equal(upright_rgb(stored, orientation), PIXELS)


@pytest.mark.parametrize("part", [np.s_[:], np.s_[7:1090, 5:1290], np.s_[3:4, 9:10]])
def test_a_picture_of_a_part_has_its_pixels(part: tuple[slice, slice]) -> None:
    np.testing.assert_array_equal(np.asarray(picture(PIXELS[part])), PIXELS[part])
