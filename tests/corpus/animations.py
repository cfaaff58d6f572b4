"""Animations of any number of equal frames, put together without an encoder, which would leave equal frames out."""

import struct
import zlib

from PIL import Image

from tests.corpus.encoding import encoded, png_chunk, png_header

_SIDE = 64


def png(frames: int) -> bytes:
    """APNG (PNG third edition, chunks acTL, fcTL and fdAT)."""
    pixels = zlib.compress(bytes((1 + _SIDE) * _SIDE))
    parts = [png_header(_SIDE, _SIDE, 8, 0), png_chunk(b"acTL", struct.pack(">II", frames, 0))]
    for number in range(frames):
        control = struct.pack(">IIIIIHHBB", max(0, 2 * number - 1), _SIDE, _SIDE, 0, 0, 1, 100, 0, 0)
        parts.append(png_chunk(b"fcTL", control))
        frame = png_chunk(b"IDAT", pixels)
        parts.append(png_chunk(b"fdAT", struct.pack(">I", 2 * number) + pixels) if number else frame)
    return b"".join([*parts, png_chunk(b"IEND", b"")])


def webp(frames: int) -> bytes:
    """WebP container (RFC 9649, chunks VP8X, ANIM and ANMF)."""
    picture = encoded(Image.new("RGB", (_SIDE, _SIDE)), "WEBP", lossless=True)[12:]
    size = struct.pack("<I", _SIDE - 1)[:3]
    frame = _riff(b"ANMF", bytes(6) + size + size + b"\x0a\0\0\0" + picture)
    head = _riff(b"VP8X", b"\x02\0\0\0" + size + size) + _riff(b"ANIM", bytes(6))
    body = b"WEBP" + head + frames * frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(frames: int) -> bytes:
    """GIF89a: the one image of a file, repeated."""
    one = encoded(Image.new("L", (_SIDE, _SIDE)), "GIF")
    start = one.index(b"\x2c", 13)
    return one[:start] + frames * one[start:-1] + one[-1:]


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
