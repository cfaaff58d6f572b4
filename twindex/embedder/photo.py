"""From a photo file's bytes, which may be hostile, to upright RGB pixels."""

import struct
import warnings
import zlib
from io import BytesIO
from threading import Lock

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from twindex.errors import PhotoError
from twindex.types import UInt8

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
MAX_PIXELS = 89_478_485  # where Pillow's own protection begins, which stays on

# What Pillow raises on damaged or hostile files.
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
)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)

# How the other formats that people are likely to try begin: offset, bytes, name.
_OTHER_FORMATS = (
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or XML"),
    (0, b"\0\0\1\0", "ICO"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyp", "HEIC or video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
)

# EXIF tag Orientation (CIPA DC-008) to the turn that makes the photo upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Python's warning filters belong to the whole process: one thread at a time may change and restore them.
_warning_filters = Lock()


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> UInt8:
    """Decode a photo.

    The first frame is taken, turned as its EXIF orientation says (a damaged EXIF block is ignored); transparent pixels
    lie on white; 16-bit grey is scaled to 8 bits.

    Args:
        data: The file's bytes, in one of `FORMATS`.
        max_pixels: Most pixels that are decoded, judged from the header.

    Returns:
        (height, width, 3) uint8, RGB, upright.

    Raises:
        PhotoError: `unreadable`, `unsupported_format` or `too_many_pixels`.
    """
    try:
        image = _open(data)
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise _too_large(f"{image.width} x {image.height}", max_pixels)
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        rgb = _rgb(image)
        return np.array(rgb if turn is None else rgb.transpose(turn))
    except _TOO_LARGE as error:
        raise _too_large("too many", max_pixels) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except _DAMAGE as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"The photo is damaged and cannot be decoded ({detail}). Replace it with an intact copy."
        raise PhotoError("unreadable", message) from error


def _open(data: bytes) -> Image.Image:
    """Read the header. Pillow only warns about moderately large pictures; here that is an error."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(BytesIO(data), formats=FORMATS)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where the EXIF block is missing or damaged."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
        except _DAMAGE:
            # The pixels are intact; a photo is not refused because of what is written about it.
            return 1
    return value if isinstance(value, int) else 1


def _rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB."""
    if image.mode == "F":
        raise PhotoError("unsupported_format", "The photo has floating-point pixels. Save it as JPEG or PNG.")
    if image.mode.startswith("I"):
        # 16-bit grey levels; Pillow's own conversion would clip them.
        levels = np.clip(np.asarray(image).astype(np.int64), 0, 65_535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        paper = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(paper, opaque).convert("RGB")
    return image.convert("RGB")


def _too_large(size: str, max_pixels: int) -> PhotoError:
    return PhotoError(
        "too_many_pixels", f"The photo has {size} pixels; at most {max_pixels} are decoded. Scale it down first."
    )


def _unidentified(data: bytes) -> PhotoError:
    """Why Pillow did not recognise a file as one of `FORMATS`."""
    if not data:
        return PhotoError("unreadable", "The file is empty; expected a photo.")
    accepted = ", ".join(FORMATS)
    for offset, start, name in _OTHER_FORMATS:
        if data.startswith(start, offset):
            message = f"The file is {name}; expected one of {accepted}. Convert it to JPEG or PNG."
            return PhotoError("unsupported_format", message)
    return PhotoError("unreadable", f"The file is not an intact photo; expected one of {accepted}.")
