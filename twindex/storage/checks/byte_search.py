"""Looking for bytes that must be gone: does a file hold 32 bytes in a row of an erased value?

Each value has an anchor of 8 bytes at its offsets 0, 25, 50 and so on. Because 25 + 8 - 1 = 32, any 32 bytes in a row
contain a whole anchor:

    value     [anchor].................[anchor].................[anchor]......
    offset    0       8                25      33               50      58
    32 bytes   |<------------ 32 ------------>|

The search has three steps:

    file      .........========[anchor]================..........
                       |before|        |<--- after -->|

    1. A table of hashes finds every place in the file that holds an anchor, at any offset.
    2. From there file and value are compared in both directions, at most 24 bytes each way.
    3. If before + 8 + after is at least 32, the file holds a run of the value.

So every run of 32 bytes is found, at any offset of the file and of the value. A value shorter than 32 bytes is not
looked for. Nothing here knows about galleries: the bytes on the disk are compared, whatever wrote them.
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
"""The shortest run, in bytes, that counts as a remnant."""

_ANCHOR = 8
_STRIDE = WINDOW - _ANCHOR + 1
_REACH = WINDOW - _ANCHOR
_CONTEXT = _REACH + _ANCHOR + _REACH  # an anchor with everything that is compared around it
_CHUNK = 1 << 20
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing: 2^64 over the golden ratio
_SLOTS_PER_ANCHOR = 256  # so that few other bytes share a slot with an anchor
_MOST_SLOT_BITS = 24
_PLACES_AT_ONCE = 4096


@dataclass(frozen=True, order=True)
class Run:
    """Bytes in a row that a file shares with an erased value.

    Attributes:
        anchor: Number of the anchor in them.
        before: How many bytes before the anchor are equal, at most 24.
        after: How many bytes after it are equal, at most 24.
    """

    anchor: int
    before: int
    after: int

    def is_within(self, other: "Run") -> bool:
        return self.anchor == other.anchor and self.before <= other.before and self.after <= other.after


class ErasedBytes:
    """Erased values, prepared to be looked for.

    Args:
        values: Their bytes. Preparing takes about three times as much memory.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        rows = [_anchors(value) for value in values if len(value) >= WINDOW]
        table = np.concatenate([np.empty((0, _CONTEXT + 2), np.uint8), *rows])
        # Values share bytes, such as the head of every JPEG; these are looked for once.
        distinct = np.unique(table.view(np.dtype((np.void, table.shape[1])))).view(np.uint8).reshape(-1, table.shape[1])
        keys = np.ascontiguousarray(distinct[:, _REACH : _REACH + _ANCHOR]).view("<u8").ravel()
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]  # (anchors,) the 8 bytes of each as a number, ascending
        self._contexts: UInt8 = distinct[order, :_CONTEXT]  # (anchors, 56) each with 24 bytes on either side
        self._available: UInt8 = distinct[order, _CONTEXT:]  # (anchors, 2) how many of the 24 belong to the value
        bits = min(_MOST_SLOT_BITS, max(16, int(_SLOTS_PER_ANCHOR * len(keys)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._slots = np.zeros(1 << bits, np.bool_)
        self._slots[self._slot(self._keys)] = True

    def runs(self, content: bytes) -> set[Run]:
        """The runs of 32 bytes or more that `content` shares with a value."""
        if not len(self._keys):
            return set()
        data = np.frombuffer(content, np.uint8)
        found: set[Run] = set()
        for offset in range(min(_ANCHOR, max(0, len(content) - _ANCHOR + 1))):
            # Copy to align the words; NumPy is slow on unaligned data.
            words = np.frombuffer(content[offset : offset + (len(content) - offset) // _ANCHOR * _ANCHOR], "<u8")
            likely = np.flatnonzero(self._slots[self._slot(words)])
            for start in range(0, len(likely), _PLACES_AT_ONCE):
                part = likely[start : start + _PLACES_AT_ONCE]
                found |= self._runs_at(data, part * _ANCHOR + offset, words[part])
        return found

    def runs_in_file(self, file: BinaryIO) -> tuple[set[Run], int]:
        """The runs in a file, read from its start in bounded memory, and the file's length in bytes."""
        found: set[Run] = set()
        length, tail = 0, b""
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            found |= self.runs(tail + chunk)
            # The end of this chunk begins the next one, so that every anchor is seen with its whole context.
            tail = (tail + chunk)[-_CONTEXT:]
        return found, length

    def _slot(self, words: NDArray[np.uint64]) -> Int64:
        return ((words * _MIX) >> self._shift).view(np.int64)

    def _runs_at(self, data: UInt8, places: Int64, words: NDArray[np.uint64]) -> set[Run]:
        """The runs of 32 bytes or more around those `places` in `data` that really hold an anchor.

        Args:
            data: (bytes,) uint8.
            places: (n,) int64, offsets in `data`.
            words: (n,) uint64, the 8 bytes at each place.
        """
        first = np.searchsorted(self._keys, words, "left")
        count = np.searchsorted(self._keys, words, "right") - first
        # Several anchors can have the same 8 bytes: one row for each pair of a place and an anchor.
        at = np.repeat(places, count)
        anchors = np.repeat(first, count) + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
        before = self._equal_bytes(data, at, anchors, -1)
        after = self._equal_bytes(data, at, anchors, 1)
        long_enough = before + after >= _REACH
        return set(map(Run, *(part[long_enough].tolist() for part in (anchors, before, after))))

    def _equal_bytes(self, data: UInt8, at: Int64, anchors: Int64, side: int) -> Int64:
        """How many bytes next to each anchor are equal in `data` and in the value, before it (-1) or after it (1)."""
        length = np.zeros(len(at), np.int64)
        alive = np.arange(len(at))
        for step in range(1, _REACH + 1):
            place = at[alive] - step if side < 0 else at[alive] + _ANCHOR - 1 + step
            column = _REACH - step if side < 0 else _REACH + _ANCHOR - 1 + step
            inside = (place >= 0) & (place < len(data)) & (self._available[anchors[alive], int(side > 0)] >= step)
            alive, place = alive[inside], place[inside]
            alive = alive[data[place] == self._contexts[anchors[alive], column]]
            if not len(alive):
                break
            length[alive] = step
        return length


def only_erased(found: set[Run], kept: Iterable[set[Run]]) -> set[Run]:
    """The runs that no kept value holds too.

    Args:
        found: In files.
        kept: In kept values, some values at a time; read only until every run found is explained.
    """
    left: dict[int, set[Run]] = defaultdict(set)
    for run in found:
        left[run.anchor].add(run)
    for known in kept if left else ():
        for run in known:
            if run.anchor in left:
                left[run.anchor] = {other for other in left[run.anchor] if not other.is_within(run)}
        if not any(left.values()):
            break
    return set().union(*left.values())


def _anchors(value: bytes) -> UInt8:
    """The anchors of a value.

    Returns:
        (n, 58) uint8: each anchor with 24 bytes on either side, then how many of these belong to the value: before the
        anchor, and after it.
    """
    padded = np.pad(np.frombuffer(value, np.uint8), _REACH)
    offsets = np.arange(0, len(value) - _ANCHOR + 1, _STRIDE)
    available = np.stack([offsets, len(value) - _ANCHOR - offsets], axis=1).clip(max=_REACH)
    return np.concatenate([sliding_window_view(padded, _CONTEXT)[offsets], available.astype(np.uint8)], axis=1)
