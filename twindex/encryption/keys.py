"""The gallery's key: where it is read from, and what is derived from it.

A key is either 64 hexadecimal digits, that is 256 random bits (`openssl rand -hex 32`), or a passphrase of at least 16
bytes, which is first stretched by scrypt. An encrypted database begins with 16 public bytes in the place of SQLCipher's
salt: "TWE\\x01", 8 random bytes that salt every derived key, and 4 derived bytes that distinguish a wrong key from
damage.
"""

import hashlib
import hmac
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from twindex.encryption.sealing import derived
from twindex.errors import EncryptionKeyError

KEY_VARIABLE = "TWINDEX_KEY"
KEY_FILE_VARIABLE = "TWINDEX_KEY_FILE"
HEADER_BYTES = 16

_MAGIC = b"TWE\x01"
_SALT_BYTES = 8
_CHECK_BYTES = HEADER_BYTES - len(_MAGIC) - _SALT_BYTES
_SHORTEST = 16
_LONGEST = 4096
_RANDOM_KEY = re.compile(rb"[0-9a-fA-F]{64}")
_SCRYPT_COST = 2**15  # with blocks of 8: 32 MiB (RFC 7914)
_SCRYPT_MEMORY = 2**26
_GIVE_KEY = f"give its key in {KEY_VARIABLE}, or a file that holds it in {KEY_FILE_VARIABLE} or --key-file"


@dataclass(frozen=True)
class GalleryKey:
    """The key to an encrypted gallery.

    Attributes:
        secret: The key as it was given.
        source: Where it came from, for messages.

    Raises:
        EncryptionKeyError: The key is too short or too long.
    """

    secret: bytes = field(repr=False)
    source: str

    def __post_init__(self) -> None:
        if not _SHORTEST <= len(self.secret) <= _LONGEST:
            raise EncryptionKeyError(
                f"The key from {self.source} has {len(self.secret)} bytes, expected {_SHORTEST} to {_LONGEST}; "
                "`openssl rand -hex 32` makes a good one."
            )


@dataclass(frozen=True)
class DerivedKeys:
    """The keys that a gallery's files are encrypted with.

    Attributes:
        header: The first 16 bytes of the database, public.
        database: SQLCipher's key, 32 bytes.
        files: The key for every other file, 32 bytes.
    """

    header: bytes
    database: bytes = field(repr=False)
    files: bytes = field(repr=False)


def environment_key() -> GalleryKey | None:
    """The key from the environment, given directly or as the name of a file; None if there is none.

    Raises:
        EncryptionKeyError: Both variables are set, or the key is not usable.
    """
    given, named = os.environ.get(KEY_VARIABLE), os.environ.get(KEY_FILE_VARIABLE)
    if given is not None and named is not None:
        raise EncryptionKeyError(f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set; unset one of them.")
    if named is not None:
        return read_key_file(Path(named))
    return None if given is None else GalleryKey(_without_newline(os.fsencode(given)), KEY_VARIABLE)


def read_key_file(path: Path) -> GalleryKey:
    """The key in a file, without a newline at its end.

    Raises:
        EncryptionKeyError: The file cannot be read, others may access it, or it holds no usable key.
    """
    source = f"the key file {str(path)!r}"
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(_LONGEST + 3)
    except OSError as error:
        raise EncryptionKeyError(f"The key cannot be read from {source}: {error.strerror}; check the path.") from error
    # Windows has no permission bits. The group may read the file, because containers get their secrets that way.
    if os.name != "nt" and stat.S_ISREG(mode) and mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise EncryptionKeyError(
            f"The key from {source} was refused: others may read or change the file (permissions "
            f"{stat.S_IMODE(mode):o}); run `chmod 600` on it, or name the right file."
        )
    return GalleryKey(_without_newline(secret), source)


def is_encrypted(start: bytes) -> bool:
    """Whether a database that starts with these bytes is encrypted with keys from `new_keys`."""
    return start.startswith(_MAGIC)


def new_keys(key: GalleryKey) -> DerivedKeys:
    """The keys for a new gallery, derived with a new salt."""
    salt = os.urandom(_SALT_BYTES)
    root = _root(key, salt)
    return _derive(root, salt)


def matching_keys(
    path: Path, header: bytes | None, key: GalleryKey | None, *, what: str = "gallery's database"
) -> DerivedKeys | None:
    """The keys to an existing database.

    Args:
        path: The database, or the file that contains it, for messages.
        header: The first 16 bytes of an encrypted database; None if it is not encrypted.
        key: The user's key, if there is one.
        what: What messages call the file.

    Returns:
        The keys; None for a database that is not encrypted.

    Raises:
        EncryptionKeyError: The key is missing or wrong, or there is a key but the database is not encrypted.
    """
    if header is None:
        if key is not None:
            raise EncryptionKeyError(
                f"The {what} {str(path)!r} is not encrypted, but there is a key from {key.source}: "
                "remove the key, or encrypt the gallery with `twindex rekey`."
            )
        return None
    if key is None:
        raise EncryptionKeyError(f"The {what} {str(path)!r} is encrypted: {_GIVE_KEY}.")
    salt = header[len(_MAGIC) : len(_MAGIC) + _SALT_BYTES]
    keys = _derive(_root(key, salt), salt)
    if not hmac.compare_digest(keys.header, header):
        raise EncryptionKeyError(
            f"The key from {key.source} is not what the {what} {str(path)!r} was encrypted with: "
            f"{_GIVE_KEY}. (A change to the file's first {HEADER_BYTES} bytes looks the same.)"
        )
    return keys


def _root(key: GalleryKey, salt: bytes) -> bytes:
    if _RANDOM_KEY.fullmatch(key.secret):
        return bytes.fromhex(key.secret.decode("ascii"))
    return hashlib.scrypt(key.secret, salt=salt, n=_SCRYPT_COST, r=8, p=1, maxmem=_SCRYPT_MEMORY, dklen=32)


def _derive(root: bytes, salt: bytes) -> DerivedKeys:
    check = derived(root, salt, "twindex key check", _CHECK_BYTES)
    return DerivedKeys(
        header=_MAGIC + salt + check,
        database=derived(root, salt, "twindex database"),
        files=derived(root, salt, "twindex files"),
    )


def _without_newline(secret: bytes) -> bytes:
    """The secret without the newline that an editor or `echo` puts at the end of a file."""
    return secret.removesuffix(b"\n").removesuffix(b"\r")
