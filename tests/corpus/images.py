"""Photos that must be refused, each for its reason, and photos that must work however they are stored.

A photo's bytes are made when they are asked for: some are large.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial

from PIL import Image, ImageFilter

from tests.corpus import animations
from tests.corpus.encoding import (
    PNG_SIGNATURE,
    bmp_in_runs,
    encoded,
    many_scans,
    png_chunk,
    png_header,
    png_of_nothing,
    with_orientation,
    with_png_chunk,
)
from tests.corpus.people import crowd, noise, portrait

Maker = Callable[[], bytes]
_EXIF_OF_A_BOMB = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\x7f\xff\xff\xff\xff\0\0\0\0"
_EXIF_IN_A_CIRCLE = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"


def _png(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


def _grey() -> Image.Image:
    return Image.new("RGB", (300, 260), "grey")


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(share * len(data))]


def _bad_crc() -> bytes:
    data = bytearray(_png(portrait()))
    data[data.index(b"IDAT") + 4000] ^= 1
    return bytes(data)


@cache
def _deflated_zeros() -> bytes:
    return zlib.compress(bytes(32 << 20), 1)


def _text_bomb(kind: bytes) -> bytes:
    flags = {b"zTXt": b"\0\0", b"iTXt": b"\0\1\0\0\0", b"iCCP": b"\0\0"}[kind]
    return with_png_chunk(_png(_grey()), kind, b"bomb" + flags + _deflated_zeros())


def _blurred() -> Image.Image:
    return portrait().resize((600, 660)).filter(ImageFilter.GaussianBlur(14))


# Name of the file to the reason code and its bytes.
BAD: Mapping[str, tuple[str, Maker]] = {
    "empty.jpg": ("unreadable", lambda: b""),
    "one-byte.jpg": ("unreadable", lambda: b"\xff"),
    "text.jpg": ("unreadable", lambda: b"This is not a photo.\n" * 40),
    "zeros.jpg": ("unreadable", lambda: bytes(1 << 20)),
    "cut.jpg": ("unreadable", lambda: _cut(encoded(portrait(), "JPEG"), 0.5)),
    "cut.png": ("unreadable", lambda: _cut(_png(portrait()), 0.5)),
    "cut.webp": ("unreadable", lambda: _cut(encoded(portrait(), "WEBP"), 0.5)),
    "cut.bmp": ("unreadable", lambda: _cut(encoded(portrait(), "BMP"), 0.5)),
    "signature-only.png": ("unreadable", lambda: PNG_SIGNATURE),
    "bad-crc.png": ("unreadable", _bad_crc),
    "no-deflate.png": ("unreadable", lambda: png_header(90, 90, 8, 2) + png_chunk(b"IDAT", b"no stream")),
    "disguised-gif.jpg": ("unsupported_format", lambda: encoded(portrait(), "GIF")),
    "disguised-tiff.jpg": ("unsupported_format", lambda: encoded(portrait(), "TIFF")),
    "disguised-big-endian-tiff.png": ("unsupported_format", lambda: b"MM\0*\0\0\0\x08" + bytes(64)),
    "disguised-pdf.jpg": ("unsupported_format", lambda: encoded(portrait(), "PDF")),
    "disguised-psd.jpg": ("unsupported_format", lambda: b"8BPS\0\1" + bytes(64)),
    "disguised-svg.png": ("unsupported_format", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "disguised-svg-with-prologue.png": ("unsupported_format", lambda: b"<?xml version='1.0'?>\n<svg/>"),
    "disguised-eps.jpg": ("unreadable", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(touch) run\n"),
    "phone.heic": ("unsupported_format", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    "floating-point.ppm": ("unsupported_format", lambda: b"Pf 2 2 -1.0\n" + bytes(16)),
    "one-bit-bomb.png": ("too_many_pixels", partial(png_of_nothing, 13_000, 13_000, 1, 0, 1)),
    "header-only.png": ("too_many_pixels", lambda: png_header(65_000, 65_000, 8, 2) + png_chunk(b"IDAT", b"")),
    "header-only.bmp": (
        "too_many_pixels",
        lambda: (
            b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHH", 40, 65_000, 65_000, 1, 24) + bytes(24)
        ),
    ),
    "many-scans.jpg": ("too_many_pixels", lambda: many_scans(Image.new("RGB", (2048, 2048)), 400)),
    "odd-range.ppm": ("too_many_pixels", lambda: b"P6 900 900 100\n" + bytes(900 * 900 * 3)),
    "as-text.pgm": ("too_many_pixels", lambda: b"P2 900 900 255\n" + b"0 " * 900 * 900),
    "in-runs.bmp": ("too_many_pixels", partial(bmp_in_runs, 900)),
    "one-pixel.png": ("no_face", lambda: _png(Image.new("RGB", (1, 1)))),
    "one-column.png": ("no_face", lambda: _png(Image.new("RGB", (1, 30_000)))),
    "one-row.png": ("no_face", lambda: _png(Image.new("RGB", (30_000, 1)))),
    "blank.png": ("no_face", lambda: _png(_grey())),
    "black.jpg": ("no_face", lambda: encoded(Image.new("RGB", (300, 260)), "JPEG")),
    "transparent.png": ("no_face", lambda: _png(Image.new("RGBA", (300, 260), (0, 0, 0, 0)))),
    "noise.png": ("no_face", lambda: _png(noise(640, 480))),
    "thousands-of-frames.png": ("no_face", partial(animations.png, 3_000)),
    "thousands-of-frames.webp": ("no_face", partial(animations.webp, 3_000)),
    "thousands-of-frames.gif": ("unsupported_format", partial(animations.gif, 3_000)),
    "text-bomb-ztxt.png": ("unreadable", partial(_text_bomb, b"zTXt")),
    "text-bomb-itxt.png": ("unreadable", partial(_text_bomb, b"iTXt")),
    "profile-bomb.png": ("unreadable", partial(_text_bomb, b"iCCP")),
    "tiny-face.jpg": ("too_small", lambda: encoded(portrait().resize((50, 55)), "JPEG", quality=95)),
    "blurred.png": ("blurred", lambda: _png(_blurred())),
}

# As large as is read: what memory and time are measured with.
LARGEST: Mapping[str, tuple[str, Maker]] = {
    "largest-palette.png": ("no_face", partial(png_of_nothing, 8192, 8192, 8, 3, 1)),
    "largest-rgba.png": ("no_face", partial(png_of_nothing, 8192, 8192, 8, 6, 4)),
    "largest-sixteen-bit.png": ("no_face", partial(png_of_nothing, 8192, 8192, 16, 0, 1)),
    "largest.jpg": ("no_face", lambda: encoded(Image.new("RGB", (8192, 8192)), "JPEG")),
    "largest-progressive.jpg": (
        "no_face",
        lambda: many_scans(Image.new("RGB", (7088, 7088)), 15, subsampling=0),
    ),
    "largest.webp": ("no_face", lambda: encoded(Image.new("RGB", (6144, 4096)), "WEBP", lossless=True, method=0)),
}

# Name of the file to its bytes: the same portrait each time.
GOOD: Mapping[str, Maker] = {
    "jpeg.jpg": lambda: encoded(portrait(), "JPEG", quality=95),
    "progressive.jpg": lambda: encoded(portrait(), "JPEG", quality=95, progressive=True),
    "cmyk.jpg": lambda: encoded(portrait().convert("CMYK"), "JPEG", quality=95),
    "rgb.png": lambda: _png(portrait()),
    "rgba.png": lambda: _png(portrait().convert("RGBA")),
    "palette.png": lambda: _png(portrait().quantize(256)),
    "webp.webp": lambda: encoded(portrait(), "WEBP", quality=95),
    "bmp.bmp": lambda: encoded(portrait(), "BMP"),
    "ppm.ppm": lambda: encoded(portrait(), "PPM"),
    "exif-bomb.jpg": lambda: encoded(portrait(), "JPEG", quality=95, exif=_EXIF_OF_A_BOMB),
    "exif-in-a-circle.jpg": lambda: encoded(portrait(), "JPEG", quality=95, exif=_EXIF_IN_A_CIRCLE),
    "garbage-exif.jpg": lambda: encoded(portrait(), "JPEG", quality=95, exif=b"Exif\0\0garbage"),
    "misnamed-png.jpg": lambda: _png(portrait()),
}

# The same portrait without its colours.
GREY: Mapping[str, Maker] = {
    "grey.png": lambda: _png(portrait().convert("L")),
    "grey-alpha.png": lambda: _png(portrait().convert("LA")),
    "sixteen-bit.png": lambda: _png(_sixteen_bit(portrait().convert("L"))),
    "grey.jpg": lambda: encoded(portrait().convert("L"), "JPEG", quality=95),
    "grey.pgm": lambda: encoded(portrait().convert("L"), "PPM"),
}


def turned(orientation: int) -> bytes:
    """The portrait as a camera stores it that is held in one of the eight ways of EXIF, without loss."""
    upright = portrait()
    steps = {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }
    for step in steps[orientation]:
        upright = upright.transpose(step)
    return encoded(upright, "PNG", exif=with_orientation(orientation))


def fifty_faces() -> bytes:
    """A photo of fifty people."""
    return encoded(crowd(50, 10), "JPEG", quality=90)


def _sixteen_bit(grey: Image.Image) -> Image.Image:
    levels = grey.convert("I")
    return levels.point(lambda level: level * 257).convert("I;16")
