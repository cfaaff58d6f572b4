"""The audit: what is recorded, and that rows never change."""

import os
import pwd
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, OTHER_MODEL, enrol, request
from twindex.errors import UsageError
from twindex.storage import GenerationSpec, Store, StoredThreshold


def acts(store: Store) -> list[tuple[str, tuple[int, ...]]]:
    return [(row.action, row.subjects) for row in store.audit.rows()]


def test_every_act_has_its_row(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Store.create(path, generation=GenerationSpec(MODEL, "Flat")) as store:
        store.references.enroll_many([request(1, "ada"), request(2, "bob"), request(3, "bob")], MODEL)
        enrol(store, 1, "ada")
        store.subjects.rename("ada", "Ada")
        store.subjects.annotate("Ada", {"team": "engines"})
        store.subjects.merge("bob", "Ada")
        store.export_subject("Ada", tmp_path_factory.mktemp("out") / "ada.zip")
        store.require_consent(True)
        store.set_threshold(StoredThreshold(0.5, 0.01, 3, MODEL, "non-mated", {"subjects": 1, "name": "Ada"}))
        other = store.generations.add(MODEL, "HNSW32")
        store.generations.activate(other.id)
        store.generations.activate(1)
        store.generations.delete(other.id)
        store.references.add_templates(OTHER_MODEL, *store.references.vectors(MODEL, [1]))
        store.references.drop_templates(OTHER_MODEL)
        store.subjects.erase("Ada")
        assert acts(store) == [
            ("enroll", (1, 2)),
            ("rename", (1,)),
            ("metadata", (1,)),
            ("merge", (1, 2)),
            ("export", (1,)),
            ("settings", ()),
            ("calibrate", ()),
            ("reindex", ()),
            ("rollback", ()),
            ("prune", ()),
            ("prune", ()),
            ("erase", (1,)),
        ]
        rows = store.audit.rows()
        assert rows[0].details == {"references": [1, 2, 3], "model": MODEL}
        assert rows[3].details == {"into": 1, "moved": 2}
        assert rows[6].details == {
            "probability": 0.5,
            "target_fpir": 0.01,
            "gallery_size": 3,
            "fingerprint": MODEL,
            "method": "non-mated",
        }
        assert rows[7].details == {"generation": 2, "model": MODEL, "index": "HNSW32"}
        assert rows[-1].details == {"references": [1, 2, 3], "subjects": 1, "templates": 3, "samples": 3, "crops": 3}
        assert {row.actor for row in rows} == {pwd.getpwuid(os.getuid()).pw_name}
        assert abs((datetime.now(UTC) - rows[0].time).total_seconds()) < 3600
        assert store.audit.rows(last=2) == rows[-2:]
        assert store.check() == []


def test_the_audit_names_nobody(store: Store, path: Path) -> None:
    enrol(store, 1, "Augusta King")
    store.subjects.rename("Augusta King", "Lady Lovelace")
    enrol(store, 2, "Ada Byron")
    store.subjects.merge("Ada Byron", "Lady Lovelace")
    store.subjects.erase("Lady Lovelace")
    content = path.read_bytes()
    assert [name for name in (b"Augusta", b"Lovelace", b"Byron") if name in content] == []


def test_an_act_that_fails_leaves_no_row(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    with pytest.raises(UsageError, match="'bob' is taken"):
        store.subjects.rename("ada", "bob")
    with pytest.raises(UsageError, match="No subject named"):
        store.subjects.erase("cleo")
    assert acts(store) == [("enroll", (1,)), ("enroll", (2,))]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE id = 1",
        "UPDATE audit SET actor = 'nobody' WHERE id = 1",
        "REPLACE INTO audit (id, time, actor, action, subjects, details) VALUES (1, '', 'nobody', 'x', '[]', '{}')",
    ],
)
def test_rows_can_only_be_added(store: Store, path: Path, statement: str) -> None:
    enrol(store, 1, "ada")
    before = store.audit.rows()
    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="the audit is append-only"):
            connection.execute(statement)
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (1,)
    assert store.audit.rows() == before


@pytest.mark.parametrize("trigger", ["audit_keeps_rows", "audit_keeps_words", "audit_keeps_numbers"])
def test_a_missing_trigger_is_reported(store: Store, path: Path, trigger: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TRIGGER {trigger}")
    assert [damage.text for damage in store.check()] == [
        f"The audit is not append-only: its trigger '{trigger}' is gone."
    ]


@pytest.mark.parametrize(("row", "left"), [(1, 2), (2, 2), (3, 2)])
def test_missing_rows_are_reported(store: Store, path: Path, row: int, left: int) -> None:
    for number in range(3):
        enrol(store, number, "ada")
    with closing(sqlite3.connect(path)) as connection:
        (guard,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'audit_keeps_rows'").fetchone()
        connection.execute("DROP TRIGGER audit_keeps_rows")
        connection.execute("DELETE FROM audit WHERE id = ?", [row])
        connection.execute(guard)
        connection.commit()
    assert [damage.text for damage in store.check()] == [
        f"Rows are missing from the audit: it has {left}, but 3 were written."
    ]


def test_an_erasure_is_unverified_until_a_row_says_otherwise(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    first, second = store.subjects.erase("ada"), store.subjects.erase("bob")
    assert [row.id for row in store.audit.unverified()] == [first.record, second.record]
    assert store.audit.places(first.record) is None
    store.audit.add("verify", {"erasure": first.record, "result": "pending", "found_in": ["journal"]})
    store.audit.add("verify", {"erasure": first.record, "result": "pending", "found_in": ["other"]})
    assert [row.id for row in store.audit.unverified()] == [first.record, second.record]
    assert store.audit.places(first.record) == {"other"}
    store.audit.add("verify", {"erasure": first.record, "result": "erased", "found_in": []})
    assert [row.id for row in store.audit.unverified()] == [second.record]
    with pytest.raises(UsageError, match="No row 99 in the audit"):
        store.audit.get(99)
