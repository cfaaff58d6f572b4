"""Long lists of ids, cut to the number of variables that SQLite allows in one statement."""

from collections.abc import Iterator, Sequence

# The lowest limit of any SQLite build in use is 999 (https://www.sqlite.org/limits.html).
_CHUNK = 900


def id_chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    """The distinct ids in ascending order, at most 900 at a time."""
    ordered = sorted({int(number) for number in ids})
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
