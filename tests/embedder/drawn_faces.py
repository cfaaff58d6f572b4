"""Faces drawn with a few ellipses: nobody's, detectable, and with landmarks that are known exactly."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from twindex.types import Float32, UInt8

BACKGROUND = (110, 120, 130)
_HAIR, _SKIN, _SHADE = (50, 35, 25), (205, 160, 130), (180, 130, 105)
# Centre, half-axes and colour, all in units of the picture's side.
_PARTS = (
    (0.5, 0.45, 0.3, 0.4, _HAIR),
    (0.5, 0.52, 0.25, 0.36, _SKIN),
    *(
        part
        for x in (0.4, 0.6)
        for part in (
            (x, 0.46, 0.075, 0.05, _SHADE),
            (x, 0.465, 0.05, 0.024, (240, 240, 240)),
            (x, 0.465, 0.024, 0.024, (40, 25, 20)),
            (x, 0.405, 0.07, 0.014, _HAIR),
        )
    ),
    (0.5, 0.56, 0.03, 0.07, (220, 180, 150)),
    (0.5, 0.61, 0.045, 0.012, _SHADE),
    (0.5, 0.73, 0.085, 0.028, (160, 70, 70)),
)
_LANDMARKS = np.array([(0.4, 0.465), (0.6, 0.465), (0.5, 0.59), (0.42, 0.73), (0.58, 0.73)])


def drawn_face(side: int) -> Image.Image:
    """A square picture of one upright face."""
    large = 4 * side
    image = Image.new("RGB", (large, large), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for x, y, across, down, colour in _PARTS:
        draw.ellipse([(x - across) * large, (y - down) * large, (x + across) * large, (y + down) * large], fill=colour)
    small = image.resize((side, side), Image.Resampling.LANCZOS)
    return small.filter(ImageFilter.GaussianBlur(side / 120))


def landmarks(side: int, left: int = 0, top: int = 0) -> NDArray[np.float64]:
    """Where they are in `drawn_face(side)` put at (left, top): (5, 2), pixel centres at whole numbers."""
    return _LANDMARKS * side - 0.5 + (left, top)


def photo(size: tuple[int, int], *faces: tuple[int, int, int]) -> UInt8:
    """A plain picture of `size` (width, height) with faces (side, left, top)."""
    image = Image.new("RGB", size, BACKGROUND)
    for side, left, top in faces:
        image.paste(drawn_face(side), (left, top))
    return np.array(image)


def error(found: Float32, expected: NDArray[np.float64]) -> float:
    """Mean distance of landmarks in units of the distance between the eyes."""
    distances = np.linalg.norm(found - expected, axis=1)
    return float(distances.mean() / np.linalg.norm(expected[1] - expected[0]))
