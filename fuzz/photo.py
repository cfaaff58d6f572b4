"""Decoding a photo, and judging its size from the header."""

from collections.abc import Iterator

from tests.corpus import images
from twindex.embedder.photos.decoding import decode, share_of_memory
from twindex.errors import PhotoError

_LARGEST_SEED = 40_000


def seeds() -> Iterator[bytes]:
    """The smaller photos of the corpus, good and bad."""
    makers = [*images.GOOD.values(), *images.GREY.values(), *(make for _, make in images.BAD.values())]
    yield from (data for data in (make() for make in makers) if len(data) < _LARGEST_SEED)


def check(data: bytes) -> None:
    """Only `PhotoError` comes out, and what decodes is RGB."""
    try:
        share_of_memory(data)
        pixels = decode(data, max_pixels=1 << 20)
    except PhotoError:
        return
    if pixels.shape[2:] != (3,) or not pixels.size:
        raise AssertionError(f"decoded to {pixels.shape}")
