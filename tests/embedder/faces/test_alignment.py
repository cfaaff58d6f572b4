"""Alignment: the transform against the published algorithm, pixels against where they must land."""

import struct
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from twindex.embedder.faces.alignment import (
    CROP_SIZE,
    align,
    centre,
    decode_crop,
    encode_crop,
    fills_crop,
    pre_cropped,
    similarity,
)
from twindex.errors import IntegrityError, PhotoError
from twindex.types import UInt8

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
IN_CROP = (TEMPLATE + 8.5) * 2 - 0.5  # pixel centres at whole numbers


def ramp(width: int, height: int) -> UInt8:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 99)], axis=-1).round().astype(np.uint8)


def placed(scale: float, degrees: float, x: float, y: float) -> NDArray[np.float64]:
    """The template's landmarks magnified, turned and moved."""
    turn = scale * np.exp(1j * np.deg2rad(degrees))
    points = (TEMPLATE[:, 0] - 56 + 1j * (TEMPLATE[:, 1] - 56)) * turn + complex(x, y)
    return np.stack([points.real, points.imag], axis=1)


def umeyama(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equations 38 to 42 of the paper, by singular values."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, singular, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (singular * sign).sum() / np.square(a).sum(1).mean()
    return np.column_stack([scale * rotation, target.mean(0) - scale * rotation @ source.mean(0)])


points = st.lists(st.tuples(*[st.integers(-500, 500)] * 2), min_size=5, max_size=5, unique=True)


@given(points, points)
def test_similarity_is_umeyama_without_reflection(source: list[tuple[int, int]], target: list[tuple[int, int]]) -> None:
    found = similarity(source, target)
    a, b = np.array(source, float), np.array(target, float)

    def residual(matrix: NDArray[np.float64]) -> float:
        return float(np.square(a @ matrix[:, :2].T + matrix[:, 2] - b).sum())

    # Where two solutions are equally good the matrices may differ, the residuals may not.
    assert residual(found) == pytest.approx(residual(umeyama(a, b)), rel=1e-9, abs=1e-6)
    assert np.linalg.det(found[:, :2]) >= 0


@given(st.floats(0.1, 10), st.floats(-180, 180), st.floats(-300, 300), st.floats(-300, 300))
def test_similarity_recovers_a_known_transform(scale: float, degrees: float, x: float, y: float) -> None:
    matrix = similarity(TEMPLATE, placed(scale, degrees, x, y))
    turn = scale * np.exp(1j * np.deg2rad(degrees))
    np.testing.assert_allclose(matrix[:, :2], [[turn.real, -turn.imag], [turn.imag, turn.real]], atol=1e-9)
    np.testing.assert_allclose(matrix[:, :2] @ (56, 56) + matrix[:, 2], (x, y), atol=1e-9)


@pytest.mark.parametrize("bad", [np.ones((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf)])
def test_similarity_refuses_degenerate_landmarks(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="finite and not all the same point"), np.errstate(invalid="ignore"):
        similarity(bad, TEMPLATE)


def test_a_photo_already_in_place_is_copied() -> None:
    image = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), np.uint8)
    # Pillow's interpolation cuts off fractions of a grey level.
    assert np.abs(align(image, IN_CROP.astype(np.float32)).astype(int) - image)[3:-3, 3:-3].max() <= 1


def test_the_crop_is_the_template_with_a_margin_of_eight_magnified_by_two() -> None:
    image = ramp(128, 128)
    crop = align(image, (TEMPLATE + 8).astype(np.float32))
    half = np.asarray(Image.fromarray(crop).reduce(2)).astype(int)
    assert np.abs(half - image)[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.0, 3.3, 6.0])
@pytest.mark.parametrize("degrees", [0, 30, -90, 180])
def test_landmarks_land_on_the_template(scale: float, degrees: float) -> None:
    size = 900
    landmarks = placed(scale, degrees, 440.3, 451.8)
    y, x = np.mgrid[:size, :size]
    for landmark, expected in zip(landmarks, IN_CROP, strict=True):
        spot = np.exp(-((x - landmark[0]) ** 2 + (y - landmark[1]) ** 2) / (2 * (3 * scale) ** 2))
        image = np.repeat((255 * spot).round().astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
        weights = align(image, landmarks.astype(np.float32))[:, :, 0].astype(float)
        found = [(weights * axis).sum() / weights.sum() for axis in np.mgrid[:CROP_SIZE, :CROP_SIZE][::-1]]
        np.testing.assert_allclose(found, expected, atol=0.15)


def test_pixels_outside_the_photo_are_black() -> None:
    white = np.full((300, 300, 3), 255, np.uint8)
    crop = align(white, placed(1, 0, 0, 150).astype(np.float32))
    assert crop[:, :120].max() == 0
    assert crop[:, 136:].min() == 255


def test_a_face_outside_the_photo_is_black() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    assert align(white, placed(1, 0, 900, -700).astype(np.float32)).max() == 0


def test_large_faces_are_antialiased() -> None:
    lines = np.zeros((1400, 1400, 3), np.uint8)
    lines[::2] = 255
    crop = align(lines, placed(10, 0, 700, 700).astype(np.float32))
    inner = crop[20:-20, 20:-20].astype(int)
    assert np.abs(inner - 127).max() <= 3


def test_align_leaves_the_photo_alone() -> None:
    image = ramp(300, 200)
    image.flags.writeable = False
    before = image.copy()
    align(image, placed(1, 10, 150, 100).astype(np.float32))
    np.testing.assert_array_equal(image, before)


def test_crops_survive_encoding() -> None:
    crop = ramp(CROP_SIZE, CROP_SIZE)
    decoded = decode_crop(encode_crop(crop))
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - crop).max() <= 4


def test_the_stored_format_is_full_colour_baseline_jpeg_without_metadata() -> None:
    data = encode_crop(ramp(CROP_SIZE, CROP_SIZE))
    frame = data.index(b"\xff\xc0")  # start of frame, baseline (ITU-T T.81)
    precision, height, width, components = struct.unpack(">BHHB", data[frame + 4 : frame + 10])
    sampling = [data[frame + 11 + 3 * i] for i in range(components)]
    assert (precision, height, width, sampling) == (8, 256, 256, [0x11] * 3)
    image = Image.open(BytesIO(data))
    assert set(image.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def jpeg(mode: str, size: tuple[int, int]) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size).save(buffer, "JPEG")
    return buffer.getvalue()


def claimed_size(data: bytes, height: int, width: int) -> bytes:
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"no picture", "cannot be read"),
        (encode_crop(np.zeros((256, 256, 3), np.uint8))[:300], "cannot be read"),
        (claimed_size(jpeg("RGB", (256, 256)), 65000, 65000), "cannot be read"),
        (jpeg("RGB", (128, 256)), "got 128 x 256 RGB"),
        (jpeg("L", (256, 256)), "got 256 x 256 L"),
    ],
)
def test_damaged_crops_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        decode_crop(data)


def test_centre_is_the_square_without_the_margin() -> None:
    crops = np.zeros((2, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    crops[0, 16:240, 16:240] = 255
    crops[1] = 255
    crops[1, 16:240, 16:240] = 7
    for size in (112, 150, 224, 299):
        squares = centre(crops, size)
        assert squares.shape == (2, size, size, 3)
        assert squares[0].min() == 255
        assert squares[1].max() == 7


def test_centre_keeps_pixels_at_the_crops_own_scale_and_order() -> None:
    crops = np.random.default_rng(2).integers(0, 256, (3, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    np.testing.assert_array_equal(centre(crops, 224), crops[:, 16:240, 16:240])


def test_centre_reduces_without_shift() -> None:
    crop = align(ramp(128, 128), (TEMPLATE + 8).astype(np.float32))
    reduced = centre(crop[np.newaxis], 112)[0].astype(int)
    assert np.abs(reduced - ramp(128, 128)[8:120, 8:120])[1:-1, 1:-1].max() <= 1


def test_centre_of_no_crops() -> None:
    assert centre(np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8), 64).shape == (0, 64, 64, 3)


@pytest.mark.parametrize("side", [64, 128, 500])
def test_square_pre_cropped_photos_are_framed_like_crops(side: int) -> None:
    crop = pre_cropped(ramp(side, side)).astype(int)
    assert np.abs(crop - ramp(CROP_SIZE, CROP_SIZE))[8:-8, 8:-8].max() <= 4


@pytest.mark.parametrize(("width", "height"), [(92, 112), (112, 92), (100, 200), (1, 2)])
def test_other_pre_cropped_photos_fill_the_templates_square(width: int, height: int) -> None:
    crop = pre_cropped(np.full((height, width, 3), 200, np.uint8))
    rows, columns = (np.nonzero(crop[:, :, 0].any(axis=axis))[0] for axis in (1, 0))
    across, down = round(224 * width / max(width, height)), round(224 * height / max(width, height))
    assert (rows[0], rows[-1]) == ((256 - down) // 2, (256 - down) // 2 + down - 1)
    assert (columns[0], columns[-1]) == ((256 - across) // 2, (256 - across) // 2 + across - 1)
    assert crop[128, 128].tolist() == [200, 200, 200]


@pytest.mark.parametrize(("width", "height"), [(100, 201), (201, 100), (1, 30000)])
def test_pre_cropped_photos_far_from_a_faces_shape_are_refused(width: int, height: int) -> None:
    with pytest.raises(PhotoError, match=f"got {width} x {height} px") as caught:
        pre_cropped(np.zeros((height, width, 3), np.uint8))
    assert caught.value.code == "wrong_shape"


@pytest.mark.parametrize(("scale", "fills"), [(1.9, False), (1.99, False), (2.01, True), (9, True)])
def test_a_face_of_twice_the_templates_size_fills_its_crop(scale: float, fills: bool) -> None:
    assert fills_crop(placed(scale, 30, 400, 300).astype(np.float32)) is fills
