"""From a photo file's bytes to upright RGB pixels, whatever the bytes are."""

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

from twindex.errors import PhotoError
from twindex.types import UInt8

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
MAX_PIXELS = 100_000_000
_KNOWN_TO_PILLOW = (b"GIF8", b"II*\0", b"MM\0*", b"8BPS", b"%PDF", b"<svg", b"<?xml", b"\0\0\1\0")
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> UInt8:
    """Decode a photo.

    The first frame is taken, turned as its EXIF orientation says; transparent pixels lie on white.

    Args:
        data: The file's bytes.
        max_pixels: Most pixels that are decoded, judged from the header.

    Returns:
        (height, width, 3) uint8, RGB, upright.

    Raises:
        PhotoError: `unreadable`, `unsupported_format` or `too_many_pixels`.
    """
    if not data:
        raise PhotoError("unreadable", "The file is empty.")
    if data.lstrip()[:5].startswith(_KNOWN_TO_PILLOW):
        raise PhotoError("unsupported_format", f"This format is not read; expected one of {', '.join(FORMATS)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(data, max_pixels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError("too_many_pixels", f"The photo has too many pixels; at most {max_pixels} are read.") from error
    except _DAMAGE as error:
        reason = str(error).replace(repr(data[:0]), "") or type(error).__name__
        raise PhotoError("unreadable", f"The photo cannot be decoded: {reason.splitlines()[0][:200]}.") from error


def _decoded(data: bytes, max_pixels: int) -> UInt8:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        pixels = image.width * image.height
        if pixels > max_pixels:
            size = f"{image.width} x {image.height}"
            raise PhotoError("too_many_pixels", f"The photo has {size} pixels; at most {max_pixels} are read.")
        upright = ImageOps.exif_transpose(image)
        return np.asarray(_on_white(_eight_bit(upright)))


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey levels brought to 8 bits; Pillow's own conversion would clip them."""
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        return Image.fromarray((np.clip(levels, 0, 65_535) // 257).astype(np.uint8))
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        paper = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(paper, opaque).convert("RGB")
    return image.convert("RGB")
