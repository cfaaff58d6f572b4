"""Damage is found and reported, and never passed over in silence."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, OTHER_MODEL, crop_bytes, enrol, request, unit_vector
from twindex.errors import IntegrityError
from twindex.storage import Damage, Store, TemplateKey
from twindex.storage.values.template_format import template_sha256


def flip_bit(path: Path, content: bytes) -> None:
    """Flip one bit in the middle of the only place where the database holds `content`."""
    data = bytearray(path.read_bytes())
    assert data.count(content) == 1
    data[data.index(content) + len(content) // 2] ^= 0x10
    path.write_bytes(bytes(data))


@pytest.fixture
def closed(store: Store, path: Path) -> Path:
    store.references.enroll_many([request(1, "ada"), request(2, "bob")], MODEL)
    store.close()
    return path


def test_a_bit_flip_in_a_template_is_reported(closed: Path) -> None:
    flip_bit(closed, unit_vector(2).tobytes())
    with Store.open(closed) as store:
        text = f"The template of reference 2 under model {MODEL} is damaged."
        assert store.check() == [Damage(text, TemplateKey(2, MODEL), "template")]
        with pytest.raises(IntegrityError, match="template of reference 2 is damaged"):
            store.references.vectors(MODEL, [1, 2])
        with pytest.raises(IntegrityError, match=r"template of reference 2 is damaged.*run `twindex doctor --repair`"):
            list(store.references.batches(MODEL, 10))
        assert store.references.vectors(MODEL, [1])[0].tolist() == [1]


def test_a_bit_flip_in_a_crop_is_reported(closed: Path) -> None:
    flip_bit(closed, crop_bytes(1))
    with Store.open(closed) as store:
        assert store.check() == [Damage("The crop of sample 1, from 'photo.jpg', is damaged.", code="crop")]
        with pytest.raises(IntegrityError, match="crop of reference 1 is damaged"):
            store.references.crop(1)
        with pytest.raises(IntegrityError, match="crop of reference 1 is damaged"):
            store.references.missing(OTHER_MODEL, 0, 10)
        assert store.references.crop(2) == crop_bytes(2)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE templates SET vector = (SELECT vector FROM templates WHERE id = 2)", "template of reference 1 under"),
        (f"UPDATE templates SET fingerprint = '{OTHER_MODEL}'", f"under model {OTHER_MODEL} is damaged"),
        ("UPDATE templates SET vector = x'' WHERE id = 1", "template of reference 1 under"),
        ("UPDATE samples SET crop = NULL WHERE id = 2", "crop of sample 2"),
        ("UPDATE samples SET crop_sha256 = NULL WHERE id = 2", "crop of sample 2"),
        ("DELETE FROM subjects WHERE id = 1", "refers to a row of 'subjects' that does not exist"),
        ('DELETE FROM "references" WHERE id = 2', "refers to a row of 'references' that does not exist"),
    ],
)
def test_rows_that_were_tampered_with_are_reported(closed: Path, statement: str, finding: str) -> None:
    connection = sqlite3.connect(closed)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with Store.open(closed) as store:
        assert any(finding in damage.text for damage in store.check())


def test_a_template_of_another_length_is_refused(closed: Path) -> None:
    short = unit_vector(1, dim=8).tobytes()
    connection = sqlite3.connect(closed)
    connection.execute(
        "UPDATE templates SET vector = ?, sha256 = ? WHERE reference_id = 1", (short, template_sha256(1, MODEL, short))
    )
    connection.commit()
    connection.close()
    with Store.open(closed) as store, pytest.raises(IntegrityError, match=r"different lengths \[32, 64\]"):
        store.references.vectors(MODEL, [1, 2])


def test_a_destroyed_page_is_a_finding_and_the_other_checks_still_run(closed: Path) -> None:
    flip_bit(closed, crop_bytes(1))
    data = bytearray(closed.read_bytes())
    page = data.index(unit_vector(1).tobytes()) // 4096
    data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    closed.write_bytes(bytes(data))
    with Store.open(closed) as store:
        findings = store.check()
    assert any("the file is damaged (" in damage.text for damage in findings)
    assert Damage("The crop of sample 1, from 'photo.jpg', is damaged.", code="crop") in findings


def test_an_index_that_disagrees_with_its_table_is_found_by_sqlite(closed: Path) -> None:
    data = bytearray(closed.read_bytes())
    # An index entry ends with the row id; the fingerprint is once in the row and once in the index.
    data[data.index(MODEL.encode("ascii"))] ^= 0x01
    closed.write_bytes(bytes(data))
    with Store.open(closed) as store:
        findings = store.check()
    assert any(damage.text.startswith("SQLite finds the file damaged: ") for damage in findings)


def test_a_damaged_template_is_replaced(closed: Path) -> None:
    flip_bit(closed, unit_vector(2).tobytes())
    with Store.open(closed) as store:
        assert store.references.replace_template(MODEL, 2, unit_vector(5)) is True
        assert store.check() == []
        references, vectors = store.references.vectors(MODEL, [1, 2])
        assert references.tolist() == [1, 2]
        assert vectors.tobytes() == unit_vector(1).tobytes() + unit_vector(5).tobytes()
        assert store.changes.revision() == 2


def test_a_bad_replacement_leaves_the_template_unchanged(closed: Path) -> None:
    with Store.open(closed) as store:
        assert store.references.replace_template(OTHER_MODEL, 2, unit_vector(5)) is False
        assert store.references.replace_template(MODEL, 9, unit_vector(5)) is False
        with pytest.raises(ValueError, match=r"got \[8, 16\]; check the embedder"):
            store.references.replace_template(MODEL, 2, unit_vector(5, dim=8))
        assert store.references.vectors(MODEL, [2])[1].tobytes() == unit_vector(2).tobytes()


def test_a_sound_gallery_has_no_findings(store: Store) -> None:
    store.references.enroll_many([request(number, f"subject {number}") for number in range(40)], MODEL)
    enrol(store, 1, "subject 1", OTHER_MODEL)
    store.subjects.erase("subject 3")
    assert store.check() == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE subjects SET name = CAST(x'61c161' AS TEXT) WHERE id = 1", r"a text in it is not UTF-8.*doctor"),
        ("UPDATE subjects SET created = '2026-13-41' WHERE id = 1", r"the time '2026-13-41', expected ISO 8601"),
        ("UPDATE subjects SET details = '{]' WHERE id = 1", r"damaged JSON.*restore a backup"),
    ],
)
def test_text_that_cannot_be_read_is_reported(closed: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(closed)) as connection:
        connection.execute(statement)
        connection.commit()
    with Store.open(closed) as store, pytest.raises(IntegrityError, match=message):
        [store.subjects.show(summary.subject) for summary in store.subjects.list()]


def test_a_message_of_sqlite_that_cannot_be_read_is_damage(closed: Path) -> None:
    content = closed.read_bytes()
    # SQLite quotes the schema in its error message.
    assert content.count(b"CREATE TABLE jobs") == 1
    closed.write_bytes(content.replace(b"CREATE TABLE jobs", b"CREATE \xc1\xc1BLE jobs"))
    with pytest.raises(IntegrityError, match=r"a text in it is not UTF-8.*restore a backup"):
        Store.open(closed)
