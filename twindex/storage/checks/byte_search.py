"""Looking for bytes that must be gone: whether files hold 32 of them in a row.

What is guaranteed: every 32 bytes in a row of an erased value that lie in a file in a row are found, at any offset.
Every 32 bytes of a value hold one of its anchors whole, the 8 bytes at its offsets 0, 25, 50 and so on. Anchors are
looked up at each offset of a file, and then grown to both sides, up to 24 bytes, as far as value and file agree. A
value shorter than 32 bytes is not looked for.

It knows nothing of galleries: it compares the bytes that are on the disk, whatever wrote them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from twindex.types import Int64, UInt8

WINDOW = 32
_ANCHOR = 8
_STRIDE = WINDOW - _ANCHOR + 1
_REACH = WINDOW - _ANCHOR
_CHUNK = 1 << 20
# Each chunk begins with the end of the one before, so that an anchor with all its surroundings is whole in one.
_OVERLAP = _ANCHOR + 2 * _REACH
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing: 2^64 over the golden ratio
_SPARSE = 256  # slots for each anchor, so that few others are looked at twice
_MOST_SLOTS = 24  # as a power of two
_PAIRS = 4096  # places looked at together


@dataclass(frozen=True, order=True)
class Run:
    """Where a file agrees with an erased value: with an anchor, and this many bytes before and after it."""

    anchor: int
    before: int
    after: int

    def within(self, other: "Run") -> bool:
        return self.anchor == other.anchor and self.before <= other.before and self.after <= other.after


class Remains:
    """Erased values, made ready to be looked for.

    Args:
        values: Their bytes. About three times as many are needed in memory.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        rows = [_surroundings(value) for value in values if len(value) >= WINDOW]
        table = np.concatenate([np.empty((0, _OVERLAP + 2), np.uint8), *rows])
        # What values have in common, such as the head of every JPEG, is looked for once.
        distinct = np.unique(table.view(np.dtype((np.void, table.shape[1])))).view(np.uint8).reshape(-1, table.shape[1])
        keys = np.ascontiguousarray(distinct[:, _REACH : _REACH + _ANCHOR]).view("<u8").ravel()
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._bytes: UInt8 = distinct[order, :_OVERLAP]
        self._room: UInt8 = distinct[order, _OVERLAP:]
        bits = min(_MOST_SLOTS, max(16, int(_SPARSE * len(keys)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._slots = np.zeros(1 << bits, np.bool_)
        self._slots[self._slot(self._keys)] = True

    def runs(self, content: bytes) -> set[Run]:
        """The runs of 32 bytes or more that `content` has in common with a value."""
        data = np.frombuffer(content, np.uint8)
        found: set[Run] = set()
        for offset in range(min(_ANCHOR, max(0, len(content) - _ANCHOR + 1)) if len(self._keys) else 0):
            # A copy, because NumPy is slow where numbers lie askew.
            words = np.frombuffer(content[offset : offset + (len(content) - offset) // _ANCHOR * _ANCHOR], "<u8")
            likely = np.flatnonzero(self._slots[self._slot(words)])
            for start in range(0, len(likely), _PAIRS):
                piece = likely[start : start + _PAIRS]
                found |= self._grown(data, piece * _ANCHOR + offset, words[piece])
        return found

    def runs_in_file(self, file: BinaryIO) -> tuple[set[Run], int]:
        """The runs in a file, read from its start in bounded memory, and how many bytes it has."""
        found: set[Run] = set()
        length, tail = 0, b""
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            found |= self.runs(tail + chunk)
            tail = (tail + chunk)[-_OVERLAP:]
        return found, length

    def _slot(self, words: NDArray[np.uint64]) -> Int64:
        return ((words * _MIX) >> self._shift).view(np.int64)

    def _grown(self, data: UInt8, places: Int64, words: NDArray[np.uint64]) -> set[Run]:
        """The runs of sufficient length around the places in `data` where there is an anchor."""
        first = np.searchsorted(self._keys, words, "left")
        count = np.searchsorted(self._keys, words, "right") - first
        at = np.repeat(places, count)
        anchors = np.repeat(first, count) + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
        before = self._agreeing(data, at, anchors, -1)
        after = self._agreeing(data, at, anchors, 1)
        long_enough = before + after >= _REACH
        return set(map(Run, *(part[long_enough].tolist() for part in (anchors, before, after))))

    def _agreeing(self, data: UInt8, at: Int64, anchors: Int64, side: int) -> Int64:
        """How many bytes on one side of the anchors agree."""
        length = np.zeros(len(at), np.int64)
        alive = np.arange(len(at))
        for step in range(1, _REACH + 1):
            there = at[alive] - step if side < 0 else at[alive] + _ANCHOR - 1 + step
            column = _REACH - step if side < 0 else _REACH + _ANCHOR - 1 + step
            inside = (there >= 0) & (there < len(data)) & (self._room[anchors[alive], int(side > 0)] >= step)
            alive, there = alive[inside], there[inside]
            alive = alive[data[there] == self._bytes[anchors[alive], column]]
            if not len(alive):
                break
            length[alive] = step
        return length


def unexplained(found: set[Run], elsewhere: Iterable[set[Run]]) -> set[Run]:
    """The runs that are no part of any in `elsewhere`, which is read only as long as some are left."""
    left: dict[int, set[Run]] = defaultdict(set)
    for run in found:
        left[run.anchor].add(run)
    for known in elsewhere if left else ():
        for run in known:
            if run.anchor in left:
                left[run.anchor] = {one for one in left[run.anchor] if not one.within(run)}
        if not any(left.values()):
            break
    return set().union(*left.values())


def _surroundings(value: bytes) -> UInt8:
    """Each anchor of a value with the 24 bytes on both sides, and how many of these there really are on each."""
    padded = np.pad(np.frombuffer(value, np.uint8), _REACH)
    anchors = np.arange(0, len(value) - _ANCHOR + 1, _STRIDE)
    room = np.stack([anchors, len(value) - _ANCHOR - anchors], axis=1).clip(max=_REACH)
    return np.concatenate([sliding_window_view(padded, _OVERLAP)[anchors], room.astype(np.uint8)], axis=1)
