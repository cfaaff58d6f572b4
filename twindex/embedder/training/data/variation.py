"""Training crops out of framed faces: cut to the template's square, and varied at random."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from twindex.embedder.faces.alignment import MARGIN, TEMPLATE_SIZE
from twindex.embedder.training.recipe.stage import Augmentation
from twindex.types import Float32, UInt8

_SHORTEST_COVER, _LONGEST_COVER = 0.15, 0.5  # shares of the crop's edge
_CELLS = 4  # of the net that bends a face, along each edge
_BLOTCHES = 4  # of a mask that takes parts of a face, along each edge
_STEEPNESS = 6.0  # of its borders


def framed(
    face: Image.Image,
    size: int,
    *,
    scale: float = 1.0,
    right: float = 0.0,
    down: float = 0.0,
    bends: Float32 | None = None,
) -> UInt8:
    """The template's square of a face with margin.

    Args:
        face: Square, RGB, framed as a gallery's crops are.
        size: Edge of the result, pixels.
        scale: Zoom.
        right, down: Shift of the content, shares of the edge.
        bends: (cells + 1, cells + 1, 2) shares of the edge, (x, y): how far beside its place on the face each knot
            of a net over the square looks; in between the face is bent evenly.

    Returns:
        (size, size, 3) uint8.
    """
    step = face.width * TEMPLATE_SIZE / (TEMPLATE_SIZE + 2 * MARGIN) / size / scale
    if step >= 2:
        factor = int(step)
        face, step = face.reduce(factor), step / factor
    left = face.width / 2 - step * size * (0.5 + right)
    top = face.height / 2 - step * size * (0.5 + down)
    data: list[Any]
    method, data = Image.Transform.AFFINE, [step, 0, left, 0, step, top]
    if bends is not None:
        knots = np.linspace(0, size, len(bends)).round()
        seen = np.stack(np.meshgrid(knots, knots), axis=-1) * step + (left, top) + bends * (size * step)
        method, data = Image.Transform.MESH, _mesh(knots.astype(int).tolist(), seen)
    return np.asarray(face.transform((size, size), method, data, Image.Resampling.BILINEAR))


def _mesh(knots: list[int], seen: NDArray[np.float64]) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """A net as Pillow takes it: each cell's box, and the corners of what it shows.

    Args:
        knots: Positions of the net's lines, pixels, the same for columns and rows.
        seen: (n, n, 2) where each knot looks, (x, y).
    """
    cells = range(len(knots) - 1)
    return [
        (
            (knots[column], knots[row], knots[column + 1], knots[row + 1]),
            # Pillow goes round a cell from its upper left corner by the lower left one.
            tuple(seen[[row, row + 1, row + 1, row], [column, column, column + 1, column + 1]].ravel().tolist()),
        )
        for row in cells
        for column in cells
    ]


def vary(face: Image.Image, size: int, augmentation: Augmentation, random: np.random.Generator) -> UInt8:
    """`framed`, varied as `augmentation` says.

    Returns:
        (size, size, 3) uint8.
    """
    scale = random.uniform(*augmentation.scale)
    right, down = random.uniform(-augmentation.shift, augmentation.shift, 2)
    brightness, contrast = random.uniform(1 - augmentation.light, 1 + augmentation.light, 2)
    mirrored, grey = random.random(2) < (0.5 * augmentation.flip, augmentation.grey)
    face = ImageOps.mirror(face) if mirrored else face
    face = face.convert("L").convert("RGB") if grey else face
    face = ImageEnhance.Contrast(ImageEnhance.Brightness(face).enhance(brightness)).enhance(contrast)
    bends = None
    if augmentation.bend:
        bends = random.uniform(-augmentation.bend, augmentation.bend, (_CELLS + 1, _CELLS + 1, 2)).astype(np.float32)
    crop = framed(face, size, scale=scale, right=right, down=down, bends=bends)
    return _covered(crop, random) if random.random() < augmentation.occlusion else crop


def mixed(crops: UInt8, share: float, random: np.random.Generator) -> UInt8:
    """Crops through some of which another one shows, by up to a half (mixup, H. Zhang et al. 2018).

    Args:
        crops: (n, size, size, 3) uint8.
        share: Of the crops to mix.
    """
    weights = np.where(random.random(len(crops)) < share, random.uniform(0, 0.5, len(crops)), 0.0)
    other = crops[random.permutation(len(crops))]
    weights = weights.astype(np.float32).reshape(-1, 1, 1, 1)
    return np.rint(crops * (1 - weights) + other * weights).astype(np.uint8)


def composed(crops: UInt8, share: float, random: np.random.Generator) -> UInt8:
    """Crops some of which have parts of another one (E. Harris et al., "FMix", 2020, with soft borders).

    Args:
        crops: (n, size, size, 3) uint8.
        share: Of the crops to compose.
    """
    made, size = crops.copy(), crops.shape[1:3]
    other = random.permutation(len(crops))
    for number in np.flatnonzero(random.random(len(crops)) < share):
        heights = Image.fromarray(random.random((_BLOTCHES, _BLOTCHES)).astype(np.float32)).resize(size)
        mask = np.clip((np.asarray(heights) - 0.5) * _STEEPNESS + 0.5, 0, 1)[..., None]
        made[number] = np.rint(crops[number] * (1 - mask) + crops[other[number]] * mask)
    return made


def _covered(crop: UInt8, random: np.random.Generator) -> UInt8:
    """A rectangle of one colour over the face (Zhong et al. 2020): a cap, sunglasses, a hand."""
    size = len(crop)
    height, width = (random.uniform(_SHORTEST_COVER, _LONGEST_COVER, 2) * size).astype(int)
    top, left = random.integers(0, size - height + 1), random.integers(0, size - width + 1)
    covered = crop.copy()
    covered[top : top + height, left : left + width] = random.integers(0, 256, 3)
    return covered
