"""Decoding: every mode that must work gives the right pixels; every hostile file gives a stable reason."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.corpus.encoding import encoded, png_chunk, png_header
from twindex.embedder.photos.decoding import decode, decode_reduced
from twindex.errors import PhotoError

# Four quarters that tell every turn and mirroring apart: red, green / blue, white.
QUARTERS = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8),
    np.ones((8, 12, 1), np.uint8),
)


QUARTERS_PNG = encoded(Image.fromarray(QUARTERS), "PNG")


@pytest.mark.parametrize("format_", ["PNG", "BMP", "PPM"])
def test_lossless_formats_give_the_exact_pixels(format_: str) -> None:
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(QUARTERS), format_)), QUARTERS)


@pytest.mark.parametrize(
    ("format_", "options"),
    [("JPEG", {"quality": 95}), ("JPEG", {"quality": 95, "progressive": True}), ("WEBP", {"quality": 95})],
)
def test_lossy_formats_give_nearly_the_pixels(format_: str, options: dict[str, Any]) -> None:
    pixels = decode(encoded(Image.fromarray(QUARTERS), format_, **options))
    centres = pixels[4::8, 6::12].astype(int)
    assert np.abs(centres - QUARTERS[4::8, 6::12]).max() < 20


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 255, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
        ("RGBA", (200, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (200, 10, 20, 255), (200, 10, 20)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 90, (90, 90, 90)),
        ("I;16", 300, (1, 1, 1)),
    ],
)
def test_modes_of_png(mode: str, value: Any, expected: tuple[int, int, int]) -> None:
    pixels = decode(encoded(Image.new(mode, (3, 2), value), "PNG"))
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.array(expected, np.uint8), (2, 3, 3)))


def test_palette_with_a_transparent_entry_is_composited_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [40, 50, 60]]]
    assert decode(encoded(image, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_cmyk_jpeg() -> None:
    pixels = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 8


def test_sixteen_bit_pgm_is_scaled() -> None:
    assert decode(b"P5 2 1 65535\n" + struct.pack(">HH", 65535, 257 * 12)).tolist() == [[[255] * 3, [12] * 3]]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, QUARTERS),
        (2, QUARTERS[:, ::-1]),
        (3, QUARTERS[::-1, ::-1]),
        (4, QUARTERS[::-1]),
        (5, QUARTERS.transpose(1, 0, 2)),
        (6, np.rot90(QUARTERS, 1)),
        (7, np.rot90(QUARTERS.transpose(1, 0, 2), 2)),
        (8, np.rot90(QUARTERS, -1)),
    ],
)
def test_exif_orientation_makes_the_photo_upright(orientation: int, stored: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(decode(data), QUARTERS)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 30,
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0\0\0\0\0",
        b"Exif\0\0garbage",
    ],
)
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    pixels = decode(encoded(Image.fromarray(QUARTERS), "JPEG", quality=95, exif=exif))
    assert np.abs(pixels[4, 6].astype(int) - QUARTERS[4, 6]).max() < 20


def test_orientation_out_of_range_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(QUARTERS), "PNG", exif=exif)), QUARTERS)


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(format_: str) -> None:
    frames = [Image.new("RGB", (16, 16), (level, 0, 0)) for level in (200, 0, 100)]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(decode(data), np.asarray(frames[0]))


@pytest.mark.parametrize("size", [(1, 1), (30000, 1), (1, 30000)])
def test_extreme_shapes_decode(size: tuple[int, int]) -> None:
    assert decode(encoded(Image.new("RGB", size), "PNG")).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\xff", "not an intact photo"),
        (b"Dear Ada,\nthis is not a photo.\n" * 50, "not an intact photo"),
        (QUARTERS_PNG[:-40], "damaged"),
        (encoded(Image.fromarray(QUARTERS.repeat(9, 0).repeat(9, 1)), "JPEG")[:700], "damaged"),
        (QUARTERS_PNG.replace(QUARTERS_PNG[29:33], b"\0\0\0\0"), "not an intact photo"),
        (png_header(4, 4, 8, 2) + png_chunk(b"IDAT", b"no deflate stream") + png_chunk(b"IEND", b""), "damaged"),
        (
            png_header(4, 4, 8, 2)
            + png_chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(8 << 20)))
            + QUARTERS_PNG[33:],
            "damaged|not an intact",
        ),
    ],
    ids=["empty", "byte", "text", "cut PNG", "cut JPEG", "header CRC", "no deflate", "text bomb"],
)
def test_unreadable(data: bytes, message: str) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        decode(data)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(Image.new("RGB", (4, 4)), "GIF"), "GIF"),
        (encoded(Image.new("RGB", (4, 4)), "TIFF"), "TIFF"),
        (encoded(Image.new("RGB", (4, 4)), "PDF"), "PDF"),
        (b"8BPS\0\1" + bytes(40), "PSD"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"Pf 2 2 -1.0\n" + bytes(16), "floating-point"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(PhotoError, match=name) as caught:
        decode(data)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png_header(65000, 65000, 8, 2) + png_chunk(b"IDAT", b""), "4225000000"),
        (png_header(13000, 13000, 1, 0) + png_chunk(b"IDAT", zlib.compress(bytes(13000 * 1626), 9)), "169000000"),
        (png_header(14000, 14000, 1, 0) + png_chunk(b"IDAT", b""), "196000000"),
        (png_header(8193, 8192, 1, 0) + png_chunk(b"IDAT", b""), "8193 x 8192"),
    ],
    ids=["header only", "one-bit bomb", "above twice the limit", "just above the limit"],
)
def test_too_many_pixels_is_judged_from_the_header(data: bytes, size: str) -> None:
    with pytest.raises(PhotoError, match=f"has {size} pixels; at most 67108864") as caught:
        decode(data)
    assert caught.value.code == "too_many_pixels"


def test_pixel_limit_is_inclusive() -> None:
    assert decode(QUARTERS_PNG, max_pixels=16 * 24).shape == (16, 24, 3)
    with pytest.raises(PhotoError, match="24 x 16 pixels; at most 383"):
        decode(QUARTERS_PNG, max_pixels=16 * 24 - 1)


SEEDS = [
    encoded(Image.fromarray(QUARTERS), "PNG"),
    encoded(Image.fromarray(QUARTERS), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"),
    encoded(Image.fromarray(QUARTERS), "WEBP"),
    encoded(Image.fromarray(QUARTERS), "BMP"),
    encoded(Image.fromarray(QUARTERS).convert("P"), "PNG", transparency=0),
    encoded(Image.fromarray(QUARTERS), "PPM"),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8), st.data())
def test_damaged_files_decode_or_give_a_reason(
    seed: bytes, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    damaged = bytearray(seed)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    length = data.draw(st.integers(0, len(damaged)))
    assert outcome(bytes(damaged[:length])) in {"pixels", "unreadable", "unsupported_format", "too_many_pixels"}


def outcome(data: bytes) -> str:
    """The reason code, or "pixels" where an RGB image comes out."""
    try:
        pixels = decode(data, max_pixels=1 << 20)
    except PhotoError as error:
        return error.code
    return "pixels" if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 else "no RGB"


def waves(width: int, height: int) -> Image.Image:
    """Smooth in every channel, and nowhere the same."""
    across, down = np.arange(width) / width, np.arange(height)[:, None] / height
    channels = [np.sin(7 * across) * np.cos(5 * down), np.cos(9 * across + 4 * down), np.sin(3 * across * down)]
    return Image.fromarray((127 * (1 + np.stack(channels, axis=-1))).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "factor"), [((640, 480), 4), ((481, 320), 2), ((319, 200), 1), ((2000, 40), 8), ((150, 900), 4)]
)
def test_a_jpeg_is_decoded_no_larger_than_needed(size: tuple[int, int], factor: int) -> None:
    photo = decode_reduced(encoded(waves(*size), "JPEG", quality=95), 160)
    assert (photo.factor, photo.size) == (factor, size)
    height, width = photo.pixels.shape[:2]
    assert (width, height) == (-(-size[0] // factor), -(-size[1] // factor))
    expected = np.asarray(waves(*size).reduce(factor), np.int16)
    assert np.abs(photo.pixels - expected).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_jpeg_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(waves(640, 480), "JPEG", quality=95, exif=exif)
    photo, whole = decode_reduced(data, 160), decode(data)
    assert photo.size == (whole.shape[1], whole.shape[0])
    expected = np.asarray(Image.fromarray(whole).reduce(4), np.int16)
    assert np.abs(photo.pixels - expected).mean() < 2


def test_other_formats_are_decoded_whole() -> None:
    photo = decode_reduced(encoded(waves(640, 480), "PNG"), 160)
    assert (photo.factor, photo.size) == (1, (640, 480))
    np.testing.assert_array_equal(photo.pixels, np.asarray(waves(640, 480)))


def test_the_pixel_limit_applies_to_the_whole_photo() -> None:
    data = encoded(waves(640, 480), "JPEG")
    with pytest.raises(PhotoError, match="has 640 x 480 pixels; at most 307199"):
        decode_reduced(data, 160, max_pixels=640 * 480 - 1)
