"""Sealed files: encrypted with AES-256-GCM in chunks, so that no byte is used unchecked.

A sealed file is the 8 bytes "TWSEAL\\x00\\x01", 32 random bytes of salt, and the content in chunks of 1 MiB (the last
may be shorter, and is empty only where the content is), each encrypted by AES-256-GCM with its 16-byte tag: the key is
HKDF-SHA-256 of the sealer's key with that salt and the info "twindex sealed file", the nonce is the chunk's number as
11 big-endian bytes and one byte that is 1 for the last chunk and 0 for the others, and the associated data is the
caller's. This is the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizar, CRYPTO 2015) in the form that
age-encryption.org uses.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from twindex.errors import IntegrityError
from twindex.extras import extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC = b"TWSEAL\x00\x01"
_SALT_BYTES = 32
_CHUNK = 1 << 20
_TAG_BYTES = 16


class FileSealer:
    """Encrypts whole files under one key, and refuses to open files that were changed.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, pieces: Iterable[bytes], associated: bytes) -> Iterator[bytes]:
        """The pieces of a sealed file.

        Args:
            pieces: The content.
            associated: Describes what the file is. It is not stored; the same bytes are needed to open the file.
        """
        salt = os.urandom(_SALT_BYTES)
        cipher = self._cipher(salt)
        yield _MAGIC + salt
        for number, (chunk, last) in enumerate(_chunks(pieces)):
            yield cipher.encrypt(_nonce(number, last), chunk, associated)

    def open(self, content: memoryview, associated: bytes, name: str) -> bytes:
        """The content of a sealed file.

        Args:
            content: The sealed file's bytes.
            associated: The same bytes as when it was sealed.
            name: The file's name, for the message.

        Raises:
            IntegrityError: The file is not sealed, was changed or cut short, or was sealed with another key or other
                associated bytes.
        """
        from cryptography.exceptions import InvalidTag

        start = len(_MAGIC) + _SALT_BYTES
        if content[: len(_MAGIC)] != _MAGIC or len(content) < start + _TAG_BYTES:
            raise IntegrityError(f"The file {name} is not sealed, unlike every index file of an encrypted gallery.")
        cipher = self._cipher(bytes(content[len(_MAGIC) : start]))
        size = _CHUNK + _TAG_BYTES
        opened = bytearray()
        try:
            for number, begin in enumerate(range(start, len(content), size)):
                last = begin + size >= len(content)
                opened += cipher.decrypt(_nonce(number, last), content[begin : begin + size], associated)
        except InvalidTag as error:
            raise IntegrityError(
                f"The sealed file {name} cannot be opened: it was changed, belongs elsewhere, or was sealed with "
                "another key."
            ) from error
        return bytes(opened)

    def _cipher(self, salt: bytes) -> "AESGCM":
        key = derived(self._key, salt, "twindex sealed file")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(key)


def derived(secret: bytes, salt: bytes, purpose: str, length: int = 32) -> bytes:
    """HKDF-SHA-256 (RFC 5869) of a secret, for one purpose.

    Raises:
        MissingExtraError: The extra "encryption" is not installed.
    """
    with extra("encryption"):
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    return HKDF(SHA256(), length, salt, purpose.encode()).derive(secret)


def _chunks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The content in chunks, each with a flag that marks the last."""
    whole = _whole_chunks(pieces)
    before = next(whole)
    for chunk in whole:
        yield before, False
        before = chunk
    yield before, True


def _whole_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _CHUNK):
            waiting += view[start : start + _CHUNK]
            # Keep even a full chunk back: it may be the last one.
            if len(waiting) > _CHUNK:
                yield bytes(waiting[:_CHUNK])
                del waiting[:_CHUNK]
    yield bytes(waiting)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
