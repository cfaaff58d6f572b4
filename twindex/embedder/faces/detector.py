"""Finding faces in a photo."""

from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from twindex.embedder.faces import mtcnn_graph as mtcnn
from twindex.embedder.faces.boxes import clipped, sides
from twindex.embedder.faces.cascade import Stages, detect
from twindex.embedder.inference.runtime import compile_network
from twindex.embedder.photos.pixels import picture
from twindex.types import Box, Face, Float32, UInt8

MAX_SIDE = 1024  # px; larger photos are scaled down to this before the search
SMALLEST_MIN_FACE = 12  # px, the window of the first network

_CENTRING = 8  # weight of the distance from the photo's centre, see `prominence`


class Detector:
    """MTCNN on OpenVINO. It compiles its networks at the first photo. Threads may share a detector.

    Args:
        min_face: Side of the smallest face to find, in pixels of the photo scaled to at most `MAX_SIDE`.
        cache: Folder that keeps compiled networks, or None.
        streams: Photos searched at the same time, each by a thread of the caller. With 1, all cores search one photo;
            with more, one core searches each photo, which takes less time in total.

    Raises:
        ValueError: `min_face` is below the window of the first network.
    """

    def __init__(self, *, min_face: int = 20, cache: Path | None = None, streams: int = 1) -> None:
        if min_face < SMALLEST_MIN_FACE:
            raise ValueError(f"min_face must be at least {SMALLEST_MIN_FACE} px, got {min_face}.")
        self._min_face = min_face
        self._cache = cache
        self._streams = streams
        self._stages: Stages | None = None
        self._lock = Lock()

    def detect(self, image: UInt8, size: tuple[int, int] | None = None) -> list[Face]:
        """Find the faces of one photo.

        Args:
            image: (height, width, 3) uint8, RGB, upright.
            size: Width and height of the photo, if `image` is reduced to a longer side of `MAX_SIDE` or more; the faces
                are given in pixels of the photo.

        Returns:
            The faces, most prominent first (see `prominence`). Boxes lie inside the photo; landmarks may lie outside.
        """
        height, width = image.shape[:2]
        if size is not None:
            width, height = size
        scale = min(1.0, MAX_SIDE / max(height, width))
        searched = (max(1, round(width * scale)), max(1, round(height * scale)))
        photo = picture(image)
        if photo.size != searched:
            photo = photo.resize(searched, Image.Resampling.BILINEAR, reducing_gap=1.0)
        found = detect(self._compiled(), photo, self._min_face)
        stretch = np.array([width / photo.width, height / photo.height], dtype=np.float32)
        boxes = clipped(_stretched(found.boxes.reshape(-1, 2, 2), stretch).reshape(-1, 4), width, height)
        landmarks = _stretched(found.landmarks, stretch)
        order = np.argsort(-prominence(boxes, width, height), kind="stable")
        return [_face(boxes[i], landmarks[i], float(found.scores[i])) for i in order]

    def prepare(self) -> None:
        """Compile the networks now, perhaps in another thread, and not at the first photo."""
        self._compiled()

    def _compiled(self) -> Stages:
        with self._lock:
            if self._stages is None:
                weights = mtcnn.load_weights()
                prepared = partial(compile_network, cache=self._cache, streams=self._streams)
                self._stages = Stages(
                    propose=prepared(mtcnn.proposal_network(weights)),
                    refine=prepared(mtcnn.refinement_network(weights)),
                    output=prepared(mtcnn.output_network(weights)),
                )
            return self._stages


def prominence(boxes: Float32, width: int, height: int) -> Float32:
    """How likely the photo is meant to show each face: large faces come first, among them those near the centre.

    The box's area divided by 1 + 8 (d/r)^2, where d is the distance of the box's centre from the photo's centre, and r
    the distance of the photo's corners from it. A face with nine times the area always comes first. Photos of Labeled
    Faces in the Wild are centred on the person they name; on the 1,330 that show several faces, this rule chooses as
    the rule of davidsandberg/facenet does (the area minus 2 d^2). There, however, a passer-by in the middle comes
    before any portrait at the side.

    Args:
        boxes: (n, 4) float32, see `boxes.py`.
        width: Of the photo, px.
        height: Of the photo, px.

    Returns:
        (n,) float32, square pixels.
    """
    extent = sides(boxes)
    middle = np.array([width, height], dtype=np.float32) / 2
    offset = boxes[:, :2] + extent / 2 - middle
    areas: Float32 = extent.prod(axis=1)
    away: Float32 = np.square(offset).sum(axis=1) / np.square(middle).sum()
    return areas / (1 + _CENTRING * away)


def _stretched(points: Float32, factor: Float32) -> Float32:
    """Pixel positions (..., 2) of a scaled photo, in the original. Pixel centres lie at whole numbers plus a half."""
    return (points + np.float32(0.5)) * factor - np.float32(0.5)


def _face(box: Float32, landmarks: Float32, score: float) -> Face:
    left, top, right, bottom = (float(edge) for edge in box)
    return Face(Box(left, top, right - left + 1, bottom - top + 1), landmarks, score)
