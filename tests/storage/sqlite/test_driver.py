"""The SQLite that encrypts is SQLCipher's own, whatever other one is in the process."""

import os
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest

from twindex.errors import TwindexError
from twindex.storage.sqlite.driver import sqlcipher

pytestmark = pytest.mark.encryption

# TensorFlow's SQLite takes the place of any that is loaded later and does not see to it.
_BESIDE_TENSORFLOW = """
import tensorflow
from twindex.storage.sqlite.driver import sqlcipher
print(*sqlcipher().connect(":memory:").execute("PRAGMA cipher_version").fetchone())
"""


@pytest.mark.slow
@pytest.mark.train
def test_another_sqlite_in_the_process_does_not_take_its_place() -> None:
    before = sys.getdlopenflags()
    own = sqlcipher().connect(":memory:").execute("PRAGMA cipher_version").fetchone()[0]
    assert sys.getdlopenflags() == before
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    beside = subprocess.run([sys.executable, "-c", _BESIDE_TENSORFLOW], env=quiet, capture_output=True, text=True)
    assert beside.stdout.strip() == own, beside.stderr


def test_one_that_cannot_encrypt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", SimpleNamespace(dbapi2=sqlite3))
    with pytest.raises(TwindexError, match="cannot encrypt"):
        sqlcipher()
