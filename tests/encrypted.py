"""Keys for tests, and a search for what an encrypted gallery must not show."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from twindex.encryption.keys import GalleryKey

KEY = GalleryKey(b"5e" * 32, "the test")
OTHER_KEY = GalleryKey(b"a7" * 32, "the other test")

_BLOCK = 8
_STRIDE = 16


def showing(folder: Path, secrets: Iterable[bytes]) -> list[str]:
    """The names of the files below `folder` that hold any 32 bytes in a row of a secret.

    Every such window has 8 bytes in it that begin at a multiple of 16 within the secret; these are what is looked for,
    so that other 8 bytes that happen to be the same would be reported too, which random ones never are.
    """
    wanted = np.concatenate([np.empty(0, np.uint64), *(_blocks_at(secret, _STRIDE) for secret in secrets)])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if np.isin(_blocks_at(path.read_bytes(), 1), wanted).any()]


def _blocks_at(data: bytes, stride: int) -> np.ndarray:
    """Every block of 8 bytes that begins at a multiple of `stride`, as numbers."""
    if len(data) < _BLOCK:
        return np.empty(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), _BLOCK)[::stride]
    return np.ascontiguousarray(windows).view(np.uint64).ravel()
