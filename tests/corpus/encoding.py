"""Photos byte by byte: what Pillow writes, and what it would never write."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file, its check sum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int, colour: int) -> bytes:
    """The start of a PNG file of that bit depth and colour type."""
    return PNG_SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png_of_nothing(width: int, height: int, depth: int, colour: int, channels: int) -> bytes:
    """A PNG file of zeros, made row by row; a large one is a thousandth of its pixels."""
    row = bytes(1 + (width * depth * channels + 7) // 8)
    deflate = zlib.compressobj(1)
    body = b"".join([*(deflate.compress(row) for _ in range(height)), deflate.flush()])
    return png_header(width, height, depth, colour) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def with_png_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG file with one more chunk behind its header."""
    return data[:33] + png_chunk(kind, content) + data[33:]


def with_orientation(orientation: int) -> Image.Exif:
    """EXIF data that tell how a photo is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def many_scans(image: Image.Image, more: int, **options: Any) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(image, "JPEG", progressive=True, **options)
    last = data[data.rindex(b"\xff\xc4") : -2]
    return data[:-2] + more * last + data[-2:]


def bmp_in_runs(side: int) -> bytes:
    """A black BMP in which every row is written as runs of equal pixels."""
    rows = (bytes([255, 0]) * (side // 255) + bytes([side % 255, 0, 0, 0])) * side + b"\0\1"
    start = 14 + 40 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + bytes(1024) + rows
