"""Tables that contradict each other, and how they are repaired."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, enrol, request
from twindex.storage import Store
from twindex.storage.sqlite.journal import Header, journal_is_unsafe


@pytest.fixture
def change(store: Store, path: Path) -> Callable[..., None]:
    """Changes the database of a gallery of three references directly; the third one's subject was erased."""
    store.references.enroll_many([request(number, f"person {number}") for number in (1, 2, 3)], MODEL)
    store.subjects.erase("person 3")

    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return execute


def found(store: Store) -> list[tuple[str, str]]:
    return [(finding.code, finding.text) for finding in store.inconsistencies()]


def test_a_sound_gallery_has_no_inconsistencies(store: Store, change: Callable[..., None]) -> None:
    store.jobs.create("enroll", {"paths": ["a"]})
    assert found(store) == []


def test_orphaned_faces_are_found_and_erased(store: Store, change: Callable[..., None]) -> None:
    change("INSERT INTO samples VALUES (7, 'aa', 'b', 0, NULL, 1.0, NULL, NULL)")
    assert [code for code, _ in found(store)] == ["orphaned_sample"]
    assert store.erase_orphans() == 1
    assert found(store) == []
    assert store.summary().samples == 2


def test_enrolments_missing_from_the_log_are_added(store: Store, change: Callable[..., None]) -> None:
    change("DELETE FROM changes WHERE reference = 1", "INSERT INTO changes VALUES (99, 'erased', 2)")
    assert [code for code, _ in found(store)] == ["change_log"]
    assert "list 2 references" in found(store)[0][1]
    store.log_enrolments()
    assert found(store) == []
    assert [(change.kind, change.reference) for change in store.changes.since(99)] == [("enrolled", 1), ("enrolled", 2)]


def test_no_id_is_given_twice(store: Store, change: Callable[..., None]) -> None:
    change("DELETE FROM sqlite_sequence WHERE name = 'references'", "UPDATE sqlite_sequence SET seq = 0")
    assert {code for code, _ in found(store)} == {"id_reuse"}
    assert ("id_reuse", "The id counter of references is at 0, but id 3 was already given.") in found(store)
    store.raise_counters()
    assert found(store) == []
    assert enrol(store, 9, "new").reference == 4


def test_templates_of_different_lengths_are_reported(store: Store, change: Callable[..., None]) -> None:
    change("UPDATE templates SET vector = x'00000000' WHERE id = 1")
    assert found(store) == [("template_length", f"Templates of model {MODEL} have different lengths, 4 to 64 bytes.")]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "CREATE TRIGGER t AFTER INSERT ON subjects BEGIN DELETE FROM gallery; END",
            "a trigger 't', which does not belong to a gallery",
        ),
        ("CREATE TABLE more (a)", "a table 'more', which does not belong to a gallery"),
        ("DROP INDEX templates_reference", "index 'templates_reference' is missing"),
        ("ALTER TABLE subjects ADD COLUMN more TEXT", "'subjects' is not defined as"),
    ],
)
def test_foreign_definitions_are_reported(store: Store, change: Callable[..., None], statement: str, text: str) -> None:
    change(statement)
    ((code, said),) = found(store)
    assert code == "schema"
    assert text in said


def test_values_of_a_wrong_type_are_counted(store: Store, change: Callable[..., None]) -> None:
    change("UPDATE templates SET vector = 'text'")
    assert found(store) == [("value", "2 values of templates.vector are not of type blob.")]
    assert [damage.code for damage in store.check()] == ["template", "template"]


def test_a_log_that_this_sqlite_could_damage_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, unsafe in (((3, 40, 1), True), ((3, 50, 7), False), ((3, 51, 0), True), ((3, 51, 3), False)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        assert journal_is_unsafe(Header(wal=True)) is unsafe
        assert not journal_is_unsafe(Header(wal=False))
