"""Upright RGB pixels from a picture of any mode, strip by strip, so that memory holds only one copy of the picture."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from twindex.errors import PhotoError
from twindex.types import UInt8

_STRIP = 1 << 20  # pixels converted at once
_BLOCK = 64 << 20  # bytes

# For each EXIF Orientation (CIPA DC-008): the view of the upright pixels in the order of the stored rows and columns.
_AS_STORED: dict[int, Callable[[UInt8], UInt8]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright.transpose(1, 0, 2), 2),
    8: lambda upright: np.rot90(upright, -1),
}
SIDEWAYS = frozenset({5, 6, 7, 8})  # orientations that swap width and height


def upright_rgb(image: Image.Image, orientation: int) -> UInt8:
    """The pixels of a loaded picture, turned as its EXIF orientation says.

    Transparent pixels are put on white; 16-bit grey is scaled to 8 bits.

    Args:
        image: Loaded, of any mode.
        orientation: 1 to 8; any other number means upright.

    Returns:
        (height, width, 3) uint8, RGB, upright.

    Raises:
        PhotoError: `unsupported_format`: the pixels are floating-point numbers.
    """
    width, height = image.size
    upright = np.empty((width, height, 3) if orientation in SIDEWAYS else (height, width, 3), np.uint8)
    as_stored = _AS_STORED.get(orientation)
    stored = upright if as_stored is None else as_stored(upright)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored[top:bottom] = np.asarray(_rgb(image.crop((0, top, width, bottom))))
    return upright


def picture(pixels: UInt8) -> Image.Image:
    """Pillow's picture of some pixels. A part of a larger array is pasted in strips, without another full copy of it.

    Args:
        pixels: (height, width, 3) uint8, RGB.
    """
    if pixels.flags.c_contiguous:
        return Image.fromarray(pixels)
    height, width = pixels.shape[:2]
    whole = Image.new("RGB", (width, height))
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        whole.paste(Image.fromarray(pixels[top : top + rows]), (0, top))
    return whole


def return_memory_of_photos() -> None:
    """Have Pillow allocate large pictures in blocks that go back to the system when they are freed.

    Pillow's own blocks have 16 MiB, and glibc keeps freed blocks of up to 32 MiB for the same thread: each reading
    thread would keep the memory of the largest photo that it has read.
    """
    Image.core.set_block_size(_BLOCK)  # type: ignore[attr-defined]  # public, but not exported by name


def _rgb(image: Image.Image) -> Image.Image:
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
