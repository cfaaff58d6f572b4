"""SQLite's errors are translated into Twindex's, with a remedy, and nothing acknowledged is lost."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, acknowledged, enrol, unit_vector
from twindex.errors import IntegrityError, TwindexError, UsageError
from twindex.storage import Store
from twindex.storage.sqlite.faults import needs_recovery, translated

REPOSITORY = Path(__file__).parents[3]
EXPECTED: dict[str, type[TwindexError]] = {
    "SQLITE_BUSY": UsageError,
    "SQLITE_BUSY_SNAPSHOT": UsageError,
    "SQLITE_LOCKED": UsageError,
    "SQLITE_READONLY": UsageError,
    "SQLITE_READONLY_ROLLBACK": UsageError,
    "SQLITE_PERM": UsageError,
    "SQLITE_AUTH": UsageError,
    "SQLITE_CANTOPEN": UsageError,
    "SQLITE_FULL": UsageError,
    "SQLITE_IOERR": UsageError,
    "SQLITE_IOERR_WRITE": UsageError,
    "SQLITE_CORRUPT": IntegrityError,
    "SQLITE_NOTADB": IntegrityError,
    "SQLITE_CONSTRAINT": IntegrityError,
    "SQLITE_CONSTRAINT_UNIQUE": IntegrityError,
    "SQLITE_NOMEM": TwindexError,
    "SQLITE_ERROR": TwindexError,
}


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_each_code_becomes_its_error(name: str, kind: type[TwindexError]) -> None:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = getattr(sqlite3, name)
    ours = translated(error, Path("gallery.sqlite"))
    assert type(ours) is kind
    assert "'gallery.sqlite'" in str(ours)
    assert "(said by SQLite); " in str(ours)


@pytest.mark.parametrize(
    ("name", "cut_short"),
    [
        ("SQLITE_READONLY_ROLLBACK", True),
        ("SQLITE_READONLY_RECOVERY", True),
        ("SQLITE_READONLY_CANTINIT", True),
        ("SQLITE_READONLY", False),
        ("SQLITE_READONLY_DBMOVED", False),
    ],
)
def test_an_unfinished_write_is_distinguished_from_a_read_only_file(name: str, cut_short: bool) -> None:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = getattr(sqlite3, name)
    assert needs_recovery(error) is cut_short
    assert ("another process was killed while writing" in str(translated(error, Path("g")))) is cut_short


def test_an_error_without_a_code_is_translated_too() -> None:
    assert type(translated(sqlite3.ProgrammingError("odd"), Path("g"))) is TwindexError
    assert "SQLite failed (None)" in str(translated(None, Path("g")))


def test_a_lock_held_too_long_is_reported(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twindex.storage.sqlite.database._BUSY_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(path) as impatient, pytest.raises(UsageError, match="another process is reading or writing"):
        enrol(impatient, 1, "ada")
    other.execute("ROLLBACK")
    other.close()
    assert enrol(store, 1, "ada").reference == 1


def test_a_violated_constraint_is_translated(store: Store) -> None:
    with pytest.raises(IntegrityError, match=r"a row breaks a rule of the schema.*CHECK constraint"):
        store.jobs.set_state(store.jobs.create("enroll", {}).id, "dreaming")  # type: ignore[arg-type]  # the point


def test_a_full_disk_is_reported_and_loses_nothing(path: Path) -> None:
    """A limit on the size of files simulates a full disk."""
    Store.create(path).close()
    limit = path.stat().st_size + 20_000
    arguments = [sys.executable, "-m", "tests.storage.sqlite.enrolling_process", str(path), "1", "10000", str(limit)]
    child = subprocess.run(arguments, cwd=REPOSITORY, input="go\n", capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "twindex.errors.UsageError: The gallery's database" in child.stderr
    assert "nothing acknowledged is lost" in child.stderr
    kept = acknowledged(child.stdout.splitlines()[1:])
    assert len(kept) >= 5
    with Store.open(path) as store:
        assert store.check() == []
        references, vectors = store.references.vectors(MODEL, list(kept.values()))
        assert references.tolist() == sorted(kept.values())
        for number, vector in zip(kept, vectors, strict=True):
            assert vector.tobytes() == unit_vector(number).tobytes()
