"""The SQLite that opens a gallery: Python's own, or SQLCipher's where it is encrypted."""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twindex.encryption.keys import DerivedKeys
from twindex.errors import TwindexError
from twindex.extras import extra

_loading = threading.Lock()


def driver_for(keys: DerivedKeys | None) -> Any:
    """The driver's module, of the database API 2.0 (PEP 249).

    Raises:
        MissingExtraError: The extra "encryption" is not installed.
    """
    return sqlite3 if keys is None else sqlcipher()


def sqlcipher() -> Any:
    """SQLCipher's driver, which opens encrypted and plain databases.

    Raises:
        MissingExtraError: The extra "encryption" is not installed.
        TwindexError: Another SQLite, which cannot encrypt, answers in its place.
    """
    with extra("encryption"), _own_symbols_first():
        from sqlcipher3 import dbapi2
    # SQLite ignores a PRAGMA that it does not know, so another one would write names and faces in the clear.
    connection = dbapi2.connect(":memory:")
    version = connection.execute("PRAGMA cipher_version").fetchone()
    connection.close()
    if version is None:
        raise TwindexError(
            "SQLCipher was loaded, but another SQLite of this process answers in its place and cannot encrypt; open "
            "the gallery before the library that brings it is imported."
        )
    return dbapi2


@contextmanager
def _own_symbols_first() -> Iterator[None]:
    """Bind the libraries loaded meanwhile to their own functions, not to other libraries' of the same name.

    TensorFlow shows its own SQLite to the whole process. glibc binds by this flag (dlopen(3)); where there is none,
    libraries keep to themselves.
    """
    with _loading:
        before = sys.getdlopenflags()
        sys.setdlopenflags(before | getattr(os, "RTLD_DEEPBIND", 0))
        try:
            yield
        finally:
            sys.setdlopenflags(before)


def unlock(connection: Any, keys: DerivedKeys) -> None:
    """Give a new connection of SQLCipher its key, before it has read anything."""
    settle(connection)
    connection.execute(f'PRAGMA key = "{key_literal(keys)}"')


def settle(connection: Any) -> None:
    """Fix what must not depend on SQLCipher's version or write to stderr; for this process."""
    # It would tell stderr of every page that it refuses, beside the error that it raises.
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute("PRAGMA cipher_default_compatibility = 4")


def key_literal(keys: DerivedKeys) -> str:
    """Key and salt as SQLCipher takes them raw, without deriving a key once more (https://www.zetetic.net/sqlcipher)."""
    return f"x'{keys.database.hex()}{keys.header.hex()}'"
