"""The search finds every 32 bytes in a row, and nothing shorter."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twindex.storage.checks.byte_search import WINDOW, ErasedBytes, Run, only_erased


def drawn(number: int, length: int) -> bytes:
    return np.random.default_rng([number, 7]).bytes(length)


def common(content: bytes, values: list[bytes]) -> bool:
    """Whether the content shares 32 bytes in a row with a value, found the slow way."""
    windows = {value[start : start + WINDOW] for value in values for start in range(len(value) - WINDOW + 1)}
    return any(content[start : start + WINDOW] in windows for start in range(len(content) - WINDOW + 1))


@pytest.mark.parametrize("length", [32, 33, 39, 56, 57, 80, 512])
def test_every_window_of_a_value_is_found_at_every_offset(length: int) -> None:
    value = drawn(1, length)
    erased = ErasedBytes([drawn(2, 300), value])
    for start in range(length - WINDOW + 1):
        assert erased.runs(bytes(start % 9) + value[start : start + WINDOW] + bytes(5))


def test_31_bytes_are_not_found() -> None:
    value = drawn(1, 200)
    erased = ErasedBytes([value])
    for start in range(len(value) - 30):
        piece = value[start : start + 31]
        # The bytes on either side must differ from the value's.
        before = bytes([value[start - 1] ^ 1]) if start else b""
        after = bytes([value[start + 31] ^ 1]) if start + 31 < len(value) else b""
        assert not erased.runs(before + piece + after)


@settings(max_examples=150)
@given(
    st.lists(st.binary(max_size=120), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120), st.integers(0, 60), st.binary(max_size=9)), max_size=4),
)
@example([bytes(60)], [(0, 0, 40, b"")])
def test_the_search_agrees_with_the_slow_way(values: list[bytes], pieces: list[tuple[int, int, int, bytes]]) -> None:
    content = b"".join(
        values[which % len(values)][start : start + length] + between for which, start, length, between in pieces
    )
    assert bool(ErasedBytes(values).runs(content)) is common(content, values)


def test_a_repeated_pattern_is_found_too() -> None:
    """The image data of an even area repeats a few bytes, so its anchors repeat too."""
    value = b"\x28\xa2\x8a\x00" * 100
    assert ErasedBytes([value]).runs(bytes(7) + value[6 : 6 + WINDOW] + bytes(7))
    assert not ErasedBytes([value]).runs(bytes(7) + value[6 : 6 + 28] + bytes(7))


def test_runs_across_two_chunks_of_a_file_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.checks.byte_search._CHUNK", 128)
    value = drawn(1, 60)
    erased = ErasedBytes([value])
    for start in range(60, 200):
        content = drawn(2, start) + value[20 : 20 + WINDOW] + drawn(3, 90)
        found, length = erased.runs_in_file(io.BytesIO(content))
        assert found
        assert length == len(content)
    assert erased.runs_in_file(io.BytesIO(drawn(4, 1000))) == (set(), 1000)


def test_values_shorter_than_32_bytes_are_not_looked_for() -> None:
    assert ErasedBytes([]).runs(bytes(100)) == set()
    assert ErasedBytes([b"short", bytes(31)]).runs(bytes(100)) == set()
    assert ErasedBytes([bytes(32)]).runs(b"") == set()
    assert ErasedBytes([bytes(32)]).runs(b"short") == set()


def test_a_run_is_explained_only_by_a_kept_run_that_contains_it() -> None:
    found = {Run(3, 10, 20), Run(4, 24, 24)}
    assert only_erased(found, [{Run(3, 24, 19)}, {Run(5, 24, 24)}]) == found
    assert only_erased(found, [{Run(3, 10, 24)}]) == {Run(4, 24, 24)}
    assert only_erased(found, [{Run(3, 10, 20)}, {Run(4, 24, 24)}]) == set()


def test_kept_values_are_read_only_until_all_runs_are_explained() -> None:
    read = []

    def pages() -> Iterator[set[Run]]:
        for page in ({Run(1, 24, 24)}, {Run(2, 24, 24)}, {Run(3, 24, 24)}):
            read.append(page)
            yield page

    assert only_erased({Run(1, 0, 24), Run(2, 24, 0)}, pages()) == set()
    assert len(read) == 2
    assert only_erased(set(), pages()) == set()
    assert len(read) == 2
