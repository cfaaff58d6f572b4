"""The three stages of MTCNN: they propose windows, refine them, and place the landmarks.

Source: Zhang et al. 2016 (see `mtcnn_graph.py`). Thresholds, the pyramid's factor and the overlaps are those of the
widely used implementation in davidsandberg/facenet, `align/detect_face.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twindex.embedder.faces.boxes import corrected, sides, squared, suppress
from twindex.embedder.faces.pyramid import STRIDE, WINDOW, Level, laid_out, sheet
from twindex.types import Float32

THRESHOLDS = (0.6, 0.7, 0.7)  # least P(face) of a window after PNet, RNet, ONet
# Bounds time and memory for photos of noise; portraits and groups stay well below.
MAX_WINDOWS_PER_LEVEL = 4000
PATCH_BATCH = 64

Stage = Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]


@dataclass(frozen=True)
class Stages:
    """The three networks of `mtcnn_graph.py`."""

    propose: Stage
    refine: Stage
    output: Stage


@dataclass(frozen=True, eq=False)
class Detections:
    """What the cascade found in one image.

    Attributes:
        boxes: (n, 4) float32, see `boxes.py`.
        scores: (n,) float32, P(face).
        landmarks: (n, 5, 2) float32, (x, y) in pixels.
    """

    boxes: Float32
    scores: Float32
    landmarks: Float32


def detect(stages: Stages, image: Image.Image, min_face: int) -> Detections:
    """Run the cascade on one image.

    Args:
        stages: The networks.
        image: RGB.
        min_face: Side of the smallest face to find, in pixels.

    Returns:
        The faces, best score first.
    """
    boxes = squared(propose(stages.propose, image, min_face))
    boxes = squared(refine(stages.refine, image, boxes))
    return output(stages.output, image, boxes)


def propose(network: Stage, image: Image.Image, min_face: int) -> Float32:
    """First stage: every window of every pyramid level that might hold a face, (n, 4) float32."""
    found = [(np.empty((0, 4), np.float32), np.empty(0, np.float32))]
    for levels in laid_out(image.width, image.height, min_face):
        offsets, probability = network(sheet(image, levels)[np.newaxis])
        found += [_windows(level, offsets[0][level.windows], probability[0][level.windows]) for level in levels]
    boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return boxes[suppress(boxes, scores, 0.7)]


def _windows(level: Level, offsets: Float32, probability: Float32) -> tuple[Float32, Float32]:
    """Windows of one level that might hold a face: boxes in the photo, (n, 4) float32, and scores.

    Args:
        level: Which.
        offsets: (rows, columns, 4) float32, in units of PNet's window at this level, not of the photo.
        probability: (rows, columns) float32.
    """
    rows, columns = np.nonzero(probability > THRESHOLDS[0])
    scores = probability[rows, columns]
    if scores.size > MAX_WINDOWS_PER_LEVEL:
        best = np.argsort(-scores, kind="stable")[:MAX_WINDOWS_PER_LEVEL]
        rows, columns, scores = rows[best], columns[best], scores[best]
    corner = np.stack([columns, rows], axis=1) * STRIDE
    edges = np.concatenate([corner, corner + WINDOW], axis=1) + offsets[rows, columns] * WINDOW
    boxes = (edges / level.scale).astype(np.float32)
    kept = suppress(boxes, scores, 0.5)
    return boxes[kept], scores[kept]


def refine(network: Stage, image: Image.Image, boxes: Float32) -> Float32:
    """Second stage: drops most false windows and corrects the others.

    Args:
        network: RNet.
        image: RGB.
        boxes: (n, 4) float32 squares.

    Returns:
        (kept, 4) float32, not square.
    """
    offsets, scores = _judge(network, image, boxes, 24)
    faces = scores > THRESHOLDS[1]
    boxes, scores = corrected(boxes[faces], offsets[faces]), scores[faces]
    return boxes[suppress(boxes, scores, 0.7)]


def output(network: Stage, image: Image.Image, boxes: Float32) -> Detections:
    """Third stage: final scores and boxes, and the landmarks.

    Args:
        network: ONet.
        image: RGB.
        boxes: (n, 4) float32 squares.

    Returns:
        The faces, best score first.
    """
    offsets, scores, places = _judge(network, image, boxes, 48)
    faces = scores > THRESHOLDS[2]
    squares, scores = boxes[faces], scores[faces]
    # Places count from the square's edge, which is half a pixel before the centre of its first pixel.
    landmarks = squares[:, np.newaxis, :2] - 0.5 + places[faces] * sides(squares)[:, np.newaxis]
    final = corrected(squares, offsets[faces])
    kept = suppress(final, scores, 0.7, over="smaller")
    return Detections(final[kept], scores[kept], landmarks[kept].astype(np.float32))


def _judge(network: Stage, image: Image.Image, boxes: Float32, side: int) -> tuple[NDArray[Any], ...]:
    """The network's outputs for the image inside each square, in batches to bound memory."""
    patches = np.zeros((max(1, len(boxes)), side, side, 3), np.uint8)
    for patch, (left, top, right, bottom) in zip(patches, boxes.astype(int).tolist(), strict=False):
        # Pillow fills pixels outside the image with black, as in the networks' training.
        window = image.crop((left, top, right + 1, bottom + 1))
        patch[:] = np.asarray(window.resize((side, side), Image.Resampling.BILINEAR))
    batches = [network(patches[start : start + PATCH_BATCH]) for start in range(0, len(patches), PATCH_BATCH)]
    return tuple(np.concatenate(parts)[: len(boxes)] for parts in zip(*batches, strict=True))
