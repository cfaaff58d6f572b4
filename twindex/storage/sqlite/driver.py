"""The SQLite that opens a gallery: Python's own, or SQLCipher if the gallery is encrypted."""

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
    """The driver: a module with the database API 2.0 (PEP 249).

    Raises:
        MissingExtraError: The extra "encryption" is not installed.
    """
    return sqlite3 if keys is None else sqlcipher()


def sqlcipher() -> Any:
    """The driver of SQLCipher, which opens encrypted and unencrypted databases.

    Raises:
        MissingExtraError: The extra "encryption" is not installed.
        TwindexError: Another SQLite was loaded in its place, which cannot encrypt.
    """
    with extra("encryption"), _own_symbols_first():
        from sqlcipher3 import dbapi2
    # Plain SQLite ignores the unknown PRAGMA that sets the key, and would write names and faces unencrypted.
    connection = dbapi2.connect(":memory:")
    version = connection.execute("PRAGMA cipher_version").fetchone()
    connection.close()
    if version is None:
        raise TwindexError(
            "SQLCipher was loaded, but another SQLite in this process took its place and cannot encrypt; open the "
            "gallery before importing the library that contains the other SQLite."
        )
    return dbapi2


@contextmanager
def _own_symbols_first() -> Iterator[None]:
    """Inside the block, load libraries so that they use their own functions, not another library's of the same name.

    TensorFlow exports its own SQLite to the whole process. glibc needs this flag to prefer a library's own functions
    (dlopen(3)); platforms without the flag do so by default.
    """
    with _loading:
        before = sys.getdlopenflags()
        sys.setdlopenflags(before | getattr(os, "RTLD_DEEPBIND", 0))
        try:
            yield
        finally:
            sys.setdlopenflags(before)


def unlock(connection: Any, keys: DerivedKeys) -> None:
    """Give a new SQLCipher connection its key. This must happen before it reads anything."""
    settle(connection)
    connection.execute(f'PRAGMA key = "{key_literal(keys)}"')


def settle(connection: Any) -> None:
    """Set SQLCipher's file format and silence its log, for the whole process."""
    # By default it also reports every page that it refuses on stderr, besides raising an error.
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute("PRAGMA cipher_default_compatibility = 4")


def key_literal(keys: DerivedKeys) -> str:
    """Key and salt in the raw form that SQLCipher uses without deriving a key (https://www.zetetic.net/sqlcipher)."""
    return f"x'{keys.database.hex()}{keys.header.hex()}'"
