"""The SQLite that opens a gallery: Python's own, or SQLCipher's where it is encrypted."""

import sqlite3
from typing import Any

from twindex.keys import DerivedKeys
from twindex.sealing import lacking_extra


def driver_for(keys: DerivedKeys | None) -> Any:
    """The driver's module, of the database API 2.0 (PEP 249).

    Raises:
        UsageError: The extra "encryption" is not installed.
    """
    return sqlite3 if keys is None else sqlcipher()


def sqlcipher() -> Any:
    """SQLCipher's driver, which opens encrypted and plain databases.

    Raises:
        UsageError: The extra "encryption" is not installed.
    """
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise lacking_extra(error) from error
    return dbapi2


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
