"""An encrypted gallery uses SQLCipher's own SQLite, even if the process has loaded another one."""

import os
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest

from twindex.errors import TwindexError
from twindex.storage.sqlite.driver import sqlcipher

# TensorFlow's SQLite replaces any SQLite that is loaded later without protection.
_BESIDE_TENSORFLOW = """
import tensorflow
from twindex.storage.sqlite.driver import sqlcipher
print(*sqlcipher().connect(":memory:").execute("PRAGMA cipher_version").fetchone())
"""


def test_another_sqlite_in_the_process_does_not_replace_sqlcipher() -> None:
    before = sys.getdlopenflags()
    own = sqlcipher().connect(":memory:").execute("PRAGMA cipher_version").fetchone()[0]
    assert sys.getdlopenflags() == before
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    beside = subprocess.run([sys.executable, "-c", _BESIDE_TENSORFLOW], env=quiet, capture_output=True, text=True)
    assert beside.stdout.strip() == own, beside.stderr


def test_a_sqlite_that_cannot_encrypt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", SimpleNamespace(dbapi2=sqlite3))
    with pytest.raises(TwindexError, match="cannot encrypt"):
        sqlcipher()
