"""From a photo file's bytes, which may be hostile, to upright RGB pixels."""

import struct
import warnings
import zlib
from dataclasses import dataclass
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

_SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)

# Python's warning filters belong to the whole process: one thread at a time may change and restore them.
_warning_filters = Lock()


@dataclass(frozen=True, eq=False)
class ReducedPhoto:
    """A photo, or a smaller form of it.

    Attributes:
        pixels: (height, width, 3) uint8, RGB, upright.
        factor: How many pixels of the photo a side of one of these stands for: 1, 2, 4 or 8.
        size: Width and height of the photo itself, upright.
    """

    pixels: UInt8
    factor: int
    size: tuple[int, int]


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
    return _decoded(data, max_pixels, None).pixels


def decode_reduced(data: bytes, least_side: int, *, max_pixels: int = MAX_PIXELS) -> ReducedPhoto:
    """Decode a photo no larger than needed: a JPEG at a half, a quarter or an eighth of its size.

    A JPEG is stored as frequencies, of which the low ones alone give the smaller picture (ITU-T T.81; libjpeg's scaled
    inverse transform): a photo of twelve megapixels takes a ninth of the time. Other formats are decoded whole.

    Args:
        data: As for `decode`.
        least_side: Pixels that the longer side keeps at least, where it has them.
        max_pixels: Most pixels that the photo may have, judged from the header.

    Raises:
        PhotoError: As for `decode`.
    """
    return _decoded(data, max_pixels, least_side)


def _decoded(data: bytes, max_pixels: int, least_side: int | None) -> ReducedPhoto:
    try:
        image = _open(data)
        width, height = image.size
        pixels = image.width * image.height
        if pixels > max_pixels:
            raise _too_large(f"{image.width} x {image.height}", max_pixels)
        if least_side is not None and (most := max(width, height) // least_side) > 1:
            image.draft(None, (max(1, width // most), max(1, height // most)))
        image.load()
        factor = round(max(width, height) / max(image.size))
        turn = _UPRIGHT.get(_orientation(image))
        rgb = _rgb(image)
        upright = np.array(rgb if turn is None else rgb.transpose(turn))
        return ReducedPhoto(upright, factor, (height, width) if turn in _SIDEWAYS else (width, height))
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
