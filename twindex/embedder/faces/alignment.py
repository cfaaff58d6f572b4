"""Bringing faces into one frame, so that the network always sees eyes, nose and mouth in the same places.

A crop is the aligned face as the gallery keeps it: 256 x 256 RGB pixels that show the 112 x 112 five-point template
and 8 pixels of margin on each side, magnified by 2. The network sees the template's square without the margin.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from twindex.embedder.photos.pixels import picture
from twindex.errors import IntegrityError, PhotoError
from twindex.types import Float32, UInt8

TEMPLATE_SIZE = 112
MARGIN = 8  # template pixels
CROP_SIZE = 256
JPEG_QUALITY = 95
MAX_ASPECT = 2  # longest to shortest side of a photo given as pre-cropped

# Eye on the left of the image, eye on the right, nose, left and right mouth corner, as (x, y) pixel centres in the
# 112 x 112 square: the template of InsightFace (ArcFace), used by most public face networks.
_TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
_MAGNIFICATION = CROP_SIZE // (TEMPLATE_SIZE + 2 * MARGIN)
_MARGIN_IN_CROP = MARGIN * _MAGNIFICATION
_REMEDY = "Run `twindex doctor`, or enrol the photo again."


def similarity(landmarks: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The similarity transform that brings landmarks closest to their targets, by least squares.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI 13(4),
    1991. With points in the plane as complex numbers, the best rotation and scale is one regression coefficient, which
    cannot mirror.

    Args:
        landmarks: (n, 2) points.
        target: (n, 2) points.

    Returns:
        (2, 3) float64: `matrix[:, :2] @ point + matrix[:, 2]` maps a point.

    Raises:
        ValueError: All landmarks are one point, or are not finite.
    """
    source, wanted = _complex(landmarks), _complex(target)
    centred = source - source.mean()
    spread = np.square(np.abs(centred)).sum()
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(f"Landmarks must be finite and not all the same point, got {np.asarray(landmarks).tolist()}.")
    turn = np.vdot(centred, wanted - wanted.mean()) / spread
    shift = wanted.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(image: UInt8, landmarks: Float32) -> UInt8:
    """Cut one face out of a photo, upright and at the crop's scale.

    A face larger than the crop is first scaled down with an antialiasing filter. Pixels outside the photo are black, as
    in the data that face networks are usually trained on.

    Args:
        image: (height, width, 3) uint8, RGB, upright.
        landmarks: (5, 2) float32, pixels, in the order of `twindex.types.Face`.

    Returns:
        (256, 256, 3) uint8.

    Raises:
        ValueError: All landmarks are one point, or are not finite.
    """
    # Pillow measures from the corner of the first pixel, landmarks from its centre.
    target = (np.array(_TEMPLATE) + MARGIN + 0.5) * _MAGNIFICATION
    to_crop = similarity(np.asarray(landmarks, dtype=np.float64) + 0.5, target)
    to_photo = _inverse(to_crop)
    left, top, right, bottom = _seen_part(to_photo, image.shape[1], image.shape[0])
    part = picture(image[top:bottom, left:right])
    scale = min(1.0, float(np.hypot(to_crop[0, 0], to_crop[1, 0])))
    reduced = part
    if scale < 1:
        size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
        reduced = part.resize(size, Image.Resampling.BICUBIC)
    to_part = to_photo - np.array([[0, 0, left], [0, 0, top]])
    to_reduced = np.array([[reduced.width / part.width], [reduced.height / part.height]]) * to_part
    crop = reduced.transform(
        (CROP_SIZE, CROP_SIZE), Image.Transform.AFFINE, tuple(to_reduced.ravel()), Image.Resampling.BICUBIC
    )
    return np.asarray(crop)


def fills_crop(landmarks: Float32) -> bool:
    """Whether a face, (5, 2) float32 pixels, is at least as large as its crop, so that the crop need not enlarge it."""
    to_crop = similarity(landmarks, np.array(_TEMPLATE) * _MAGNIFICATION)
    return bool(np.hypot(to_crop[0, 0], to_crop[1, 0]) <= 1)


def pre_cropped(image: UInt8) -> UInt8:
    """The crop of a photo that shows one face and nothing else; the detector is not used.

    A square photo is assumed to be framed like a crop, margin included. Any other photo is assumed to be a loosely
    cropped head: its longer side fills the template's square, and the rest of the square is black. No other fixed
    framing tried on the ORL faces (92 x 112) was better by more than 2 of 200 queries.

    Args:
        image: (height, width, 3) uint8, RGB, upright.

    Returns:
        (256, 256, 3) uint8.

    Raises:
        PhotoError: `wrong_shape`: the longer side is more than twice the shorter.
    """
    height, width = image.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    if longer > MAX_ASPECT * shorter:
        raise PhotoError(
            "wrong_shape",
            f"A photo given as pre-cropped must be one face, with one side at most {MAX_ASPECT} times the other; "
            f"got {width} x {height} px. Crop it to the face, or do not give it as pre-cropped.",
        )
    side = CROP_SIZE if height == width else CROP_SIZE - 2 * _MARGIN_IN_CROP
    size = (max(1, round(side * width / longer)), max(1, round(side * height / longer)))
    crop = Image.new("RGB", (CROP_SIZE, CROP_SIZE))
    face = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    crop.paste(face, ((CROP_SIZE - size[0]) // 2, (CROP_SIZE - size[1]) // 2))
    return np.asarray(crop)


def encode_crop(crop: UInt8) -> bytes:
    """Encode a crop as the gallery keeps it: baseline JPEG, 256 x 256 RGB pixels, quality 95, 4:4:4, no metadata."""
    buffer = BytesIO()
    Image.fromarray(crop).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def decode_crop(data: bytes) -> UInt8:
    """Decode a crop that `encode_crop` encoded.

    Returns:
        (256, 256, 3) uint8, RGB.

    Raises:
        IntegrityError: The bytes are not a crop.
    """
    expected = f"expected a JPEG of {CROP_SIZE} x {CROP_SIZE} RGB pixels"
    try:
        image = Image.open(BytesIO(data), formats=["JPEG"])
        if image.mode == "RGB" and image.size == (CROP_SIZE, CROP_SIZE):
            return np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise IntegrityError(f"A stored crop cannot be read: {expected}, got {error}. {_REMEDY}") from error
    raise IntegrityError(
        f"A stored crop is damaged: {expected}, got {image.width} x {image.height} {image.mode}. {_REMEDY}"
    )


def decode_crops(encoded: Sequence[bytes]) -> UInt8:
    """Decode several crops.

    Args:
        encoded: n crops, as `encode_crop` writes them.

    Returns:
        (n, 256, 256, 3) uint8, RGB.

    Raises:
        IntegrityError: The bytes of one are not a crop.
    """
    crops = np.empty((len(encoded), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    for crop, data in zip(crops, encoded, strict=True):
        crop[:] = decode_crop(data)
    return crops


def centre(crops: UInt8, size: int) -> UInt8:
    """The template's square of each crop, without the margin, at the size of a network's input.

    Args:
        crops: (n, 256, 256, 3) uint8.
        size: Side in pixels.

    Returns:
        (n, size, size, 3) uint8.
    """
    inner = slice(_MARGIN_IN_CROP, CROP_SIZE - _MARGIN_IN_CROP)
    centres = np.empty((len(crops), size, size, 3), dtype=np.uint8)
    for centred, crop in zip(centres, crops, strict=True):
        square = Image.fromarray(crop[inner, inner])
        centred[:] = np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))
    return centres


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(points, dtype=np.float64)
    return array[:, 0] + 1j * array[:, 1]


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _seen_part(to_photo: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the photo that a crop shows; at least one pixel."""
    corners = np.array([[0, 0, 1], [CROP_SIZE, 0, 1], [0, CROP_SIZE, 1], [CROP_SIZE, CROP_SIZE, 1]])
    seen = corners @ to_photo.T
    reach = 3  # pixels that bicubic interpolation looks beyond
    left, top = np.clip(np.floor(seen.min(axis=0)) - reach, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0)) + reach, [left + 1, top + 1], [width, height]).astype(int)
    return int(left), int(top), int(right), int(bottom)
