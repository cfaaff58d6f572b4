"""The schema: migrations make what SQLAlchemy expects, and old files open."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy import inspect as reflect

from twindex.errors import TwindexError, UsageError
from twindex.storage import Change, Store, StoredThreshold
from twindex.storage.schema.migrations import MIGRATIONS
from twindex.storage.schema.tables import METADATA
from twindex.storage.values.terms import NO_TERMS, Terms

GOLDEN = Path(__file__).parent / "golden"
MODEL = "a1" * 32


@pytest.fixture
def golden(path: Path) -> Path:
    return from_dump(path, "schema_1.sql")


def from_dump(path: Path, name: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((GOLDEN / name).read_text(encoding="ascii"))
    connection.close()
    return path


def shape(path: Path) -> dict[str, Any]:
    """Columns, keys and indexes of every table; SQLite does not distinguish TEXT and VARCHAR."""
    engine = create_engine(f"sqlite:///{path}")
    inspector = reflect(engine)
    tables: dict[str, Any] = {
        table: (
            [
                (column["name"], str(column["type"]).replace("VARCHAR", "TEXT"), column["nullable"])
                for column in inspector.get_columns(table)
            ],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(
                (key["constrained_columns"], key["referred_table"], key["referred_columns"])
                for key in inspector.get_foreign_keys(table)
            ),
            sorted(constraint["column_names"] for constraint in inspector.get_unique_constraints(table)),
            sorted((index["name"], index["column_names"], index["unique"]) for index in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
    }
    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        tables["AUTOINCREMENT"] = sorted(made.scalars())
    engine.dispose()
    return tables


def test_migrations_make_what_sqlalchemy_expects(path: Path, tmp_path: Path) -> None:
    Store.create(path).close()
    expected = tmp_path / "expected.sqlite"
    engine = create_engine(f"sqlite:///{expected}")
    METADATA.create_all(engine)
    engine.dispose()
    assert shape(path) == shape(expected)


def test_a_file_of_schema_1_opens_with_all_it_holds(golden: Path) -> None:
    with Store.open(golden) as store:
        assert store.check() == []
        gallery = store.gallery()
        assert gallery.gallery_id == "00000000-0000-4000-8000-000000000001"
        assert gallery.threshold == StoredThreshold(0.75, 0.01, 2, MODEL, "empirical", {"fnir": 0.25})
        assert [(entry.subject, entry.references) for entry in store.subjects.list()] == [("ada", 1), ("zoë", 1)]
        references, vectors = store.references.vectors(MODEL, [1, 2, 3])
        assert references.tolist() == [1, 3]
        assert vectors.tolist() == [[1.0, 0.0, 0.0, 0.0], [0.5, -0.5, 0.5, -0.5]]
        assert store.references.crop(3) == b"crop of face 3"
        record = store.references.get(1)
        assert record.face is not None
        assert record.face.landmarks.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9.5]]
        assert record.enrolled.isoformat() == "2025-01-02T03:04:05.678900+00:00"
        assert store.changes.since(2) == [Change(3, "enrolled", 3), Change(4, "erased", 2)]
        active = store.generations.active()
        assert active is not None
        assert active.snapshot is not None
        assert (active.index_spec, active.snapshot.count, active.snapshot.revision) == ("Flat", 2, 4)
        (job,) = store.jobs.list()
        assert (job.kind, job.parameters, job.state) == ("enroll", {"paths": ["photos"]}, "interrupted")
        assert [(item.path, item.subject, item.status) for item in store.jobs.items(job.id)] == [
            ("photos/ada.jpg", "ada", "enrolled"),
            ("", "", "enrolled"),
            ("photos/caf\udce9.jpg", "zoë", "pending"),
        ]


def test_a_file_of_schema_1_has_no_terms_requires_no_consent_and_has_an_empty_audit(golden: Path) -> None:
    with Store.open(golden) as store:
        assert store.references.get(1).terms == NO_TERMS
        assert store.gallery().consent_required is False
        assert store.audit.rows() == []


def test_a_file_of_schema_2_opens_with_all_it_holds(path: Path) -> None:
    with Store.open(from_dump(path, "schema_2.sql")) as store:
        assert store.check() == []
        assert store.gallery().consent_required is True
        assert store.references.get(1).terms == NO_TERMS
        assert store.references.get(3).terms == Terms("form 17", datetime(2999, 12, 31, tzinfo=UTC))
        assert [item.terms for item in store.jobs.items(1)] == [
            NO_TERMS,
            NO_TERMS,
            Terms("form 18", datetime(2031, 1, 1, tzinfo=UTC)),
        ]
        rows = store.audit.rows()
        assert [(row.id, row.actor, row.action, row.subjects) for row in rows] == [
            (1, "root", "enroll", (1, 3)),
            (2, "root", "erase", (2,)),
            (3, "root", "verify", (2,)),
        ]
        assert rows[0].time == datetime(2025, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
        assert rows[1].details == {"crops": 1, "references": [2], "samples": 1, "subjects": 1, "templates": 1}
        assert store.audit.unverified() == [rows[1]]
        assert store.audit.places(2) == {"journal"}


def test_every_schema_has_a_golden_file() -> None:
    made = {f"schema_{number}.sql" for number in range(1, len(MIGRATIONS) + 1)}
    assert {file.name for file in GOLDEN.iterdir()} == made


def test_an_older_file_is_brought_up_to_date_once(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = (*MIGRATIONS, ("ALTER TABLE subjects ADD COLUMN motto TEXT", "UPDATE subjects SET motto = 'per ' || name"))
    monkeypatch.setattr("twindex.storage.schema.migrations.MIGRATIONS", later)
    monkeypatch.setattr("twindex.storage.store.MIGRATIONS", later)
    with monkeypatch.context() as unwritable:
        # Root may write anywhere.
        unwritable.setattr("os.access", lambda path, mode: mode != os.W_OK)
        with pytest.raises(UsageError, match="has an older schema and cannot be written; run `twindex doctor`"):
            Store.open(golden, read_only=True)
    with Store.open(golden, read_only=True) as store:
        assert store.references.count() == 2
    for _ in range(2):
        with Store.open(golden) as store:
            assert store.references.count() == 2
    connection = sqlite3.connect(golden)
    assert connection.execute("SELECT motto FROM subjects ORDER BY id").fetchall() == [("per ada",), ("per zoë",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
    connection.close()


def test_a_failing_migration_leaves_the_file_unchanged(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*MIGRATIONS, ("ALTER TABLE subjects ADD COLUMN motto TEXT", "UPDATE absent SET x = 1"))
    before = shape(golden)
    with monkeypatch.context() as newer:
        newer.setattr("twindex.storage.schema.migrations.MIGRATIONS", broken)
        newer.setattr("twindex.storage.store.MIGRATIONS", broken)
        with pytest.raises(TwindexError, match="no such table: absent"):
            Store.open(golden)
    assert shape(golden) == before
    with Store.open(golden) as store:
        assert store.check() == []
