"""The levels of a photo's pyramid. Small levels are packed onto one sheet, so that a network searches them at once."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from twindex.types import UInt8

WINDOW = 12  # PNet's receptive field, px
STRIDE = 2  # of PNet's output, px
FACTOR = 0.709  # about sqrt(1/2): each level has half the pixels of the one before
_LARGE = 40_000  # levels with more pixels are searched alone: packing them saves no time


@dataclass(frozen=True)
class Level:
    """One level and its place on the sheet, in pixels.

    Attributes:
        scale: The level's size by the photo's.
        width, height: The level's size.
        left, top: Its place on the sheet, in multiples of the stride.
    """

    scale: float
    width: int
    height: int
    left: int = 0
    top: int = 0

    @property
    def windows(self) -> tuple[slice, slice]:
        """Rows and columns of the network's output that see this level and nothing else."""
        return _windows(self.top, self.height), _windows(self.left, self.width)


def scales(width: int, height: int, min_face: int) -> list[float]:
    """Scales at which PNet's window covers faces from `min_face` to the whole image; none for tiny images."""
    found = []
    scale = WINDOW / min_face
    while min(width, height) * scale >= WINDOW:
        found.append(scale)
        scale *= FACTOR
    return found


def sheet(image: Image.Image, levels: list[Level]) -> UInt8:
    """The picture that holds some levels, with black between them.

    If a level has an odd side, its last row or column is repeated, since the network moves in whole strides.

    Args:
        image: RGB.
        levels: All levels of one sheet, from `laid_out`.

    Returns:
        (height, width, 3) uint8.
    """
    height = max(level.top + _whole(level.height) for level in levels)
    width = max(level.left + _whole(level.width) for level in levels)
    pixels = np.zeros((height, width, 3), np.uint8)
    for level in levels:
        shown = np.asarray(image.resize((level.width, level.height), Image.Resampling.BOX))
        shown = np.pad(shown, ((0, -level.height % STRIDE), (0, -level.width % STRIDE), (0, 0)), mode="edge")
        pixels[level.top : level.top + len(shown), level.left : level.left + shown.shape[1]] = shown
    return pixels


def laid_out(width: int, height: int, min_face: int) -> list[list[Level]]:
    """The levels of a photo of `width` x `height`, largest first, as one list for each sheet.

    Each large level has its own sheet; all others share one.
    """
    levels = [
        Level(scale, int(np.ceil(width * scale)), int(np.ceil(height * scale)))
        for scale in scales(width, height, min_face)
    ]
    large = [[level] for level in levels if level.width * level.height > _LARGE]
    small = _placed(levels[len(large) :])
    return [*large, small] if small else large


def _placed(levels: list[Level]) -> list[Level]:
    """Put each level into the first free place of one sheet that is large enough for it.

    The sheet is as high as the first level and as wide as needed. About a tenth of it stays empty.
    """
    placed: list[Level] = []
    free: list[
        tuple[int, int, float, float]
    ] = []  # left, top, width, height; the last place is to the right of all others
    for level in levels:
        wide, high = _whole(level.width), _whole(level.height)
        free = free or [(0, 0, np.inf, high)]
        number = next(number for number, (_, _, w, h) in enumerate(free) if wide <= w and high <= h)
        left, top, free_width, free_height = free[number]
        below = (left, top + high, wide, free_height - high)
        beside = (left + wide, top, free_width - wide, free_height)
        free[number : number + 1] = [below, beside]
        placed.append(replace(level, left=left, top=top))
    return placed


def _windows(start: int, length: int) -> slice:
    first = start // STRIDE
    return slice(first, first + (_whole(length) - WINDOW) // STRIDE + 1)


def _whole(length: int) -> int:
    return -(-length // STRIDE) * STRIDE
