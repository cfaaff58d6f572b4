"""Arithmetic on boxes: (n, 4) float32 arrays of left, top, right, bottom in pixels.

Right and bottom are the last pixels inside, as in the reference implementation of MTCNN, so a width is
right - left + 1.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twindex.types import Float32, Int64

Denominator = Literal["union", "smaller"]
_BLOCK = 64  # boxes compared with all others at once


def sides(boxes: Float32) -> Float32:
    """Widths and heights, (n, 2) float32 pixels."""
    return boxes[:, 2:] - boxes[:, :2] + 1


def suppress(boxes: Float32, scores: Float32, threshold: float, over: Denominator = "union") -> Int64:
    """Greedy non-maximum suppression.

    Args:
        boxes: (n, 4) float32.
        scores: (n,) float32, higher is better.
        threshold: A box is dropped if its overlap with a better box that is kept is larger.
        over: What the intersection is divided by: the union of the two boxes, or the smaller of their areas.

    Returns:
        (kept,) int64 indices into `boxes`, best first.
    """
    remaining = np.argsort(-scores, kind="stable")
    kept = [np.empty(0, np.int64)]
    while remaining.size:
        block, remaining = remaining[:_BLOCK], remaining[_BLOCK:]
        best = block[_survivors(_overlap(boxes[block], boxes[block], threshold, over))]
        remaining = remaining[~_overlap(boxes[best], boxes[remaining], threshold, over).any(axis=0)]
        kept.append(best)
    return np.concatenate(kept)


def _survivors(overlaps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n boxes, best first, are kept.

    Args:
        overlaps: (n, n), whether each box overlaps each other one.
    """
    drops = np.triu(overlaps, 1)
    kept = np.ones(len(drops), dtype=np.bool_)
    for better in np.flatnonzero(drops.any(axis=1)):
        if kept[better]:
            kept &= ~drops[better]
    return kept


def _overlap(better: Float32, worse: Float32, threshold: float, over: Denominator) -> NDArray[np.bool_]:
    """Whether each of (n, 4) boxes overlaps each of (m, 4) by more than the threshold, (n, m)."""
    left, top, right, bottom = better.T[:, :, np.newaxis]
    widths = np.maximum(0, np.minimum(right, worse[:, 2]) - np.maximum(left, worse[:, 0]) + 1)
    heights = np.maximum(0, np.minimum(bottom, worse[:, 3]) - np.maximum(top, worse[:, 1]) + 1)
    intersection = widths * heights
    of_better, of_worse = sides(better).prod(axis=1)[:, np.newaxis], sides(worse).prod(axis=1)
    denominator = of_better + of_worse - intersection if over == "union" else np.minimum(of_better, of_worse)
    more: NDArray[np.bool_] = intersection > threshold * denominator
    return more


def corrected(boxes: Float32, offsets: Float32) -> Float32:
    """Boxes corrected by a network's regression.

    Args:
        boxes: (n, 4) float32.
        offsets: (n, 4) float32, shift of each edge in units of the box's width or height.

    Returns:
        (n, 4) float32.
    """
    return boxes + offsets * np.tile(sides(boxes), 2)


def squared(boxes: Float32) -> Float32:
    """The smallest squares around the boxes with the same centres, on whole pixels.

    On whole pixels, the patch that a network sees is exactly the box that its answer refers to.

    Args:
        boxes: (n, 4) float32.

    Returns:
        (n, 4) float32 integers; widths and heights are equal and at least 1.
    """
    extent = sides(boxes)
    side = np.maximum(1, np.round(extent.max(axis=1, keepdims=True)))
    corner = np.round(boxes[:, :2] + (extent - side) / 2)
    return np.concatenate([corner, corner + side - 1], axis=1).astype(np.float32)


def clipped(boxes: Float32, width: int, height: int) -> Float32:
    """The parts of the boxes inside an image of `width` times `height` pixels, (n, 4) float32."""
    limit = np.array([width, height, width, height], dtype=np.float32) - 1
    return np.clip(boxes, 0, limit)
