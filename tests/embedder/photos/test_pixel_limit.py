import pytest
from PIL import Image

from tests.corpus.encoding import bmp_in_runs, encoded, many_scans, png_chunk, png_header
from twindex.embedder.photos.decoding import MAX_PIXELS, decode, share_of_memory
from twindex.errors import PhotoError


def one_colour_a_scan() -> bytes:
    """The start of a JPEG whose colours are stored one after the other."""
    data = bytearray(encoded(Image.new("RGB", (7200, 7200)), "JPEG"))
    data[data.index(b"\xff\xda") + 4] = 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (many_scans(Image.new("RGB", (2048, 2048)), 400), (20 << 26) // 410),
        (encoded(Image.new("RGB", (7200, 7200)), "JPEG", progressive=True), 3 << 24),
        (one_colour_a_scan(), 3 << 24),
        (b"P6 800 800 100\n" + bytes(800 * 800 * 3), 1 << 19),
        (b"P2 800 800 255\n" + b"0 " * 800 * 800, 1 << 19),
        (bmp_in_runs(800), 1 << 19),
        (encoded(Image.new("RGB", (5100, 5100)), "WEBP", lossless=True, method=0), 3 << 23),
    ],
    ids=[
        "JPEG of many scans",
        "progressive",
        "one colour a scan",
        "PPM of odd range",
        "PGM as text",
        "BMP in runs",
        "WebP",
    ],
)
def test_kinds_that_are_expensive_to_decode_have_a_lower_limit(data: bytes, most: int) -> None:
    with pytest.raises(PhotoError, match=f"at most {most} ") as caught:
        decode(data)
    assert caught.value.code == "too_many_pixels"


@pytest.mark.parametrize(
    "data",
    [
        many_scans(Image.new("RGB", (64, 64)), 400),
        b"P6 8 8 100\n" + bytes(192),
        b"P2 8 8 255\n" + b"0 " * 64,
        bmp_in_runs(8),
    ],
    ids=["JPEG of many scans", "PPM of odd range", "PGM as text", "BMP in runs"],
)
def test_small_photos_of_expensive_kinds_are_decoded(data: bytes) -> None:
    assert decode(data).shape[2] == 3


@pytest.mark.parametrize(
    ("data", "share"),
    [
        (encoded(Image.new("L", (24, 16)), "PNG"), 16 * 24 / MAX_PIXELS),
        (png_header(8192, 8192, 1, 0) + png_chunk(b"IDAT", b""), 1.0),
        (encoded(Image.new("RGB", (64, 32)), "JPEG"), 64 * 32 / MAX_PIXELS),
        (encoded(Image.new("L", (64, 32)), "JPEG", exif=b"Exif\0\0garbage"), 64 * 32 / MAX_PIXELS),
        (encoded(Image.new("CMYK", (64, 32)), "JPEG"), 64 * 32 / MAX_PIXELS),
        (encoded(Image.new("RGB", (64, 32)), "JPEG", progressive=True), 64 * 32 / (3 << 24)),
        (encoded(Image.new("RGB", (64, 32)), "WEBP"), 64 * 32 / (3 << 23)),
    ],
)
def test_the_share_of_memory_is_judged_from_the_header(data: bytes, share: float) -> None:
    assert share_of_memory(data) == pytest.approx(share)
