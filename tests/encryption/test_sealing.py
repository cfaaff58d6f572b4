"""Sealed files: opening one returns the same bytes, or is refused."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twindex.encryption import sealing
from twindex.encryption.sealing import FileSealer
from twindex.errors import IntegrityError, MissingExtraError

pytestmark = pytest.mark.encryption

KEY = bytes(range(32))
HEADER = 40
TAG = 16
CHUNK = 64


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_CHUNK", CHUNK)


def sealed(content: bytes, associated: bytes = b"what it is") -> bytes:
    return b"".join(FileSealer(KEY).seal([content], associated))


def opened(data: bytes, associated: bytes = b"what it is", key: bytes = KEY) -> bytes:
    return FileSealer(key).open(memoryview(data), associated, "a.twdx")


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=3 * CHUNK), max_size=5))
def test_the_pieces_are_returned_joined(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    data = b"".join(FileSealer(KEY).seal(pieces, b"a"))
    chunks = max(1, -(-len(whole) // CHUNK))
    assert len(data) == HEADER + len(whole) + chunks * TAG
    assert opened(data, b"a") == whole


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_content_of_any_length_around_a_chunk_is_returned(length: int) -> None:
    content = bytes(number % 251 for number in range(length))
    assert opened(sealed(content)) == content


def test_the_same_content_is_sealed_differently_each_time() -> None:
    assert sealed(b"the same") != sealed(b"the same")


def test_every_flipped_bit_is_refused() -> None:
    data = sealed(bytes(2 * CHUNK))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(IntegrityError, match=r"is not sealed|cannot be opened"):
            opened(bytes(changed))


def test_every_shorter_file_is_refused() -> None:
    data = sealed(bytes(2 * CHUNK))
    for length in range(len(data)):
        with pytest.raises(IntegrityError, match=r"is not sealed|cannot be opened"):
            opened(data[:length])


def test_chunks_cannot_be_left_out_swapped_or_added() -> None:
    data = sealed(bytes(range(3 * CHUNK)))
    size = CHUNK + TAG
    head, first, second, third = data[:HEADER], *(data[HEADER + n * size : HEADER + (n + 1) * size] for n in range(3))
    assert opened(head + first + second + third) == bytes(range(3 * CHUNK))
    for chunks in (first + second, second + third, second + first + third, first + second + third + third):
        with pytest.raises(IntegrityError, match="cannot be opened"):
            opened(head + chunks)


def test_another_key_or_other_associated_bytes_are_refused() -> None:
    data = sealed(b"content")
    with pytest.raises(IntegrityError, match=r"a\.twdx cannot be opened.*another key"):
        opened(data, key=bytes(32))
    with pytest.raises(IntegrityError, match="belongs elsewhere"):
        opened(data, b"what it is not")


def test_a_file_that_is_not_sealed_is_refused_as_such() -> None:
    with pytest.raises(IntegrityError, match=r"a\.twdx is not sealed, unlike every index file of an encrypted gallery"):
        opened(b"TWINDEX\x01" + bytes(100))


def test_a_file_sealed_by_an_earlier_release_opens() -> None:
    """Written down once; sealed with chunks of 64 bytes."""
    data = bytes.fromhex(
        "54575345414c000172e2d0ac82957efc027a0efcf179c67569d79b55a630b74ec370c89ac3f02a069ac6bfe0c0108aad"
        "8f4e223f0b8869fec64d246db8b0832592113db681ca6e40a822f730509ab1d87ccdc9a6d8d96f8d5a16ea0c0e6e3643"
        "b9ee84b966c43b0e52641dcf60b32efad4adf89cadf07a6c6e3d93b4fa49438876b8fe42b1685c617fb546552d8e9ad3"
        "65fa0ea60e15b6e0a2efda93b0bdf42793030b0cc82320113b3b773a"
    )
    assert opened(data) == bytes(range(100))


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.hkdf", None)
    with pytest.raises(MissingExtraError, match=r'not installed.*pip install "twindex\[encryption\]"'):
        sealed(b"content")
