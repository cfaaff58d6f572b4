"""Whether the search finds every 32 bytes in a row, and nothing less."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twindex.storage.checks.byte_search import WINDOW, Remains, Run, unexplained


def drawn(number: int, length: int) -> bytes:
    return np.random.default_rng([number, 7]).bytes(length)


def common(content: bytes, values: list[bytes]) -> bool:
    """Whether they have 32 bytes in a row in common, the slow way."""
    windows = {value[start : start + WINDOW] for value in values for start in range(len(value) - WINDOW + 1)}
    return any(content[start : start + WINDOW] in windows for start in range(len(content) - WINDOW + 1))


@pytest.mark.parametrize("length", [32, 33, 39, 56, 57, 80, 512])
def test_every_window_of_a_value_is_found_at_every_offset(length: int) -> None:
    value = drawn(1, length)
    remains = Remains([drawn(2, 300), value])
    for start in range(length - WINDOW + 1):
        assert remains.runs(bytes(start % 9) + value[start : start + WINDOW] + bytes(5))


def test_31_bytes_are_no_finding() -> None:
    value = drawn(1, 200)
    remains = Remains([value])
    for start in range(len(value) - 30):
        piece = value[start : start + 31]
        # Neither neighbour may happen to go on as the value does.
        before = bytes([value[start - 1] ^ 1]) if start else b""
        after = bytes([value[start + 31] ^ 1]) if start + 31 < len(value) else b""
        assert not remains.runs(before + piece + after)


@settings(max_examples=150)
@given(
    st.lists(st.binary(max_size=120), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120), st.integers(0, 60), st.binary(max_size=9)), max_size=4),
)
@example([bytes(60)], [(0, 0, 40, b"")])
def test_it_agrees_with_the_slow_way(values: list[bytes], pieces: list[tuple[int, int, int, bytes]]) -> None:
    content = b"".join(
        values[which % len(values)][start : start + length] + between for which, start, length, between in pieces
    )
    assert bool(Remains(values).runs(content)) is common(content, values)


def test_a_repeated_pattern_is_found_too() -> None:
    """The picture data of an even area repeats a few bytes, as do the anchors in it."""
    value = b"\x28\xa2\x8a\x00" * 100
    assert Remains([value]).runs(bytes(7) + value[6 : 6 + WINDOW] + bytes(7))
    assert not Remains([value]).runs(bytes(7) + value[6 : 6 + 28] + bytes(7))


def test_a_file_is_searched_across_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.checks.byte_search._CHUNK", 128)
    value = drawn(1, 60)
    remains = Remains([value])
    for start in range(60, 200):
        content = drawn(2, start) + value[20 : 20 + WINDOW] + drawn(3, 90)
        found, length = remains.runs_in_file(io.BytesIO(content))
        assert found
        assert length == len(content)
    assert remains.runs_in_file(io.BytesIO(drawn(4, 1000))) == (set(), 1000)


def test_nothing_is_looked_for_in_values_that_are_too_short() -> None:
    assert Remains([]).runs(bytes(100)) == set()
    assert Remains([b"short", bytes(31)]).runs(bytes(100)) == set()
    assert Remains([bytes(32)]).runs(b"") == set()
    assert Remains([bytes(32)]).runs(b"short") == set()


def test_a_run_is_explained_only_by_one_that_holds_it_whole() -> None:
    found = {Run(3, 10, 20), Run(4, 24, 24)}
    assert unexplained(found, [{Run(3, 24, 19)}, {Run(5, 24, 24)}]) == found
    assert unexplained(found, [{Run(3, 10, 24)}]) == {Run(4, 24, 24)}
    assert unexplained(found, [{Run(3, 10, 20)}, {Run(4, 24, 24)}]) == set()


def test_no_more_is_read_than_it_takes_to_explain() -> None:
    read = []

    def pages() -> Iterator[set[Run]]:
        for page in ({Run(1, 24, 24)}, {Run(2, 24, 24)}, {Run(3, 24, 24)}):
            read.append(page)
            yield page

    assert unexplained({Run(1, 0, 24), Run(2, 24, 0)}, pages()) == set()
    assert len(read) == 2
    assert unexplained(set(), pages()) == set()
    assert len(read) == 2
