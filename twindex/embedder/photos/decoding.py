"""From a photo file's bytes, which may be hostile, to upright RGB pixels."""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Lock

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from twindex.embedder.photos.pixel_limit import MAX_PIXELS, pixel_limit
from twindex.embedder.photos.pixels import SIDEWAYS, upright_rgb
from twindex.errors import PhotoError
from twindex.types import UInt8

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")

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
_DIGITS = re.compile(r"\d+")  # the first number in Pillow's message about a picture that is too large
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)

# First bytes of the other formats that people are likely to try: offset, bytes, name.
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

# Python's warning filters belong to the process, so only one thread at a time may change and restore them.
_warning_filters = Lock()


@dataclass(frozen=True, eq=False)
class ReducedPhoto:
    """A photo, possibly scaled down.

    Attributes:
        pixels: (height, width, 3) uint8, RGB, upright.
        factor: How many times smaller than the photo it is, per side: 1, 2, 4 or 8.
        size: Width and height of the photo itself, upright.
    """

    pixels: UInt8
    factor: int
    size: tuple[int, int]


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> UInt8:
    """Decode a photo.

    The first frame is decoded and turned as its EXIF orientation says; a damaged EXIF block is ignored. Transparent
    pixels are put on white. 16-bit grey is scaled to 8 bits.

    Args:
        data: The file's bytes, in one of `FORMATS`.
        max_pixels: Most pixels that the photo may have, judged from its header.

    Returns:
        (height, width, 3) uint8, RGB, upright.

    Raises:
        PhotoError: `unreadable`, `unsupported_format` or `too_many_pixels`.
    """
    return _decoded(data, max_pixels, None).pixels


def decode_reduced(data: bytes, least_side: int, *, max_pixels: int = MAX_PIXELS) -> ReducedPhoto:
    """Decode a photo no larger than needed: a JPEG at a half, a quarter or an eighth of its size.

    A JPEG stores frequencies, and the low ones alone give a smaller picture (ITU-T T.81; libjpeg's scaled inverse
    transform). Decoding twelve megapixels so takes a ninth of the time. Other formats are decoded whole.

    Args:
        data: As for `decode`.
        least_side: Pixels that the longer side keeps at least; a smaller photo stays as it is.
        max_pixels: As for `decode`.

    Raises:
        PhotoError: As for `decode`.
    """
    return _decoded(data, max_pixels, least_side)


def _decoded(data: bytes, max_pixels: int, least_side: int | None) -> ReducedPhoto:
    with _reasons(data):
        image, _ = _open(data, max_pixels)
        width, height = image.size
        if least_side is not None and (most := max(width, height) // least_side) > 1:
            image.draft(None, (max(1, width // most), max(1, height // most)))
        image.load()
        factor, orientation = round(max(width, height) / max(image.size)), _orientation(image)
        size = (height, width) if orientation in SIDEWAYS else (width, height)
        return ReducedPhoto(upright_rgb(image, orientation), factor, size)


def share_of_memory(data: bytes) -> float:
    """The memory that decoding a photo takes, as a share of the most that `decode` may take, judged from its header.

    Returns:
        0 to 1: its pixels, as a share of the pixel limit for its kind of file.

    Raises:
        PhotoError: As for `decode`, if the header shows the fault.
    """
    with _reasons(data):
        image, limit = _open(data, MAX_PIXELS)
        return image.width * image.height / limit


@contextmanager
def _reasons(data: bytes) -> Iterator[None]:
    """Turn whatever Pillow raises about a file into a `PhotoError` with its reason."""
    try:
        yield
    except _TOO_LARGE as error:
        size = _DIGITS.search(str(error))
        message = f"The photo has {size[0] if size else 'too many'} pixels; {_allowed(MAX_PIXELS)}"
        raise PhotoError("too_many_pixels", message) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except _DAMAGE as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"The photo is damaged and cannot be decoded ({detail}). Replace it with an intact copy."
        raise PhotoError("unreadable", message) from error


def _open(data: bytes, max_pixels: int) -> tuple[ImageFile, int]:
    """Read the header. Returns the picture, not loaded yet, and the pixel limit for its kind of file.

    Pillow only warns about moderately large pictures; here its warning is an error.
    """
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(BytesIO(data), formats=FORMATS)
    limit = min(max_pixels, pixel_limit(image, data))
    if image.width * image.height > limit:
        size = f"{image.width} x {image.height}"
        raise PhotoError("too_many_pixels", f"The photo has {size} pixels; {_allowed(limit)}")
    return image, limit


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if the EXIF block is missing or damaged."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
        except _DAMAGE:
            # The pixels are intact: damaged metadata is not a reason to refuse a photo.
            return 1
    return value if isinstance(value, int) else 1


def _allowed(pixels: int) -> str:
    return f"at most {pixels} are decoded from this kind of file. Save it scaled down, as an ordinary JPEG."


def _unidentified(data: bytes) -> PhotoError:
    """The error for a file that Pillow did not recognise as one of `FORMATS`."""
    if not data:
        return PhotoError("unreadable", "The file is empty; expected a photo. Replace it with an intact copy.")
    accepted = ", ".join(FORMATS)
    for offset, start, name in _OTHER_FORMATS:
        if data.startswith(start, offset):
            message = f"The file is {name}; expected one of {accepted}. Convert it to JPEG or PNG."
            return PhotoError("unsupported_format", message)
    return PhotoError(
        "unreadable", f"The file is not an intact photo; expected one of {accepted}. Replace it with an intact copy."
    )
