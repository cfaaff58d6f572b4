"""Enrolling: what is stored, what is refused, and that enrolling again changes nothing."""

import sqlite3
import unicodedata
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.storage.builders import (
    DIM,
    MODEL,
    OTHER_MODEL,
    crop_bytes,
    enrol,
    request,
    sample,
    source_sha256,
    unit_vector,
)
from twindex.errors import UsageError
from twindex.storage import Change, Enrolment, EnrolmentRequest, Store
from twindex.types import Float32


def test_a_reference_comes_back_as_it_was_given(store: Store) -> None:
    given_sample = sample(7, face_index=3, source_name="holiday/one.jpg")
    reference = store.references.enroll(given_sample, "ada", MODEL, unit_vector(7)).reference
    record = store.references.get(reference)
    assert (record.reference, record.subject, record.source_name) == (reference, "ada", "holiday/one.jpg")
    assert (record.source_sha256, record.face_index, record.quality) == (source_sha256(7), 3, 7.0)
    assert record.has_crop is True
    assert record.face is not None
    assert given_sample.face is not None
    assert record.face.box == given_sample.face.box
    assert record.face.confidence == given_sample.face.confidence
    assert record.face.landmarks.tobytes() == given_sample.face.landmarks.tobytes()
    assert store.references.crop(reference) == crop_bytes(7)


@pytest.mark.parametrize("damaged", ["x'00'", "NULL", "'text'"])
def test_enrolling_again_replaces_a_damaged_crop(store: Store, path: Path, damaged: str) -> None:
    reference = enrol(store, 7, "ada").reference
    assert reference is not None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE samples SET crop = {damaged}")
        connection.commit()
    assert [damage.code for damage in store.check()] == ["crop"]
    assert enrol(store, 7, "ada").status == "already_enrolled"
    assert store.check() == []
    assert store.references.crop(reference) == crop_bytes(7)


def test_a_photo_given_as_cropped_has_no_face_geometry(store: Store) -> None:
    reference = store.references.enroll(replace(sample(1), face=None), "ada", MODEL, unit_vector(1)).reference
    assert store.references.get(reference).face is None


def test_a_gallery_that_keeps_no_crops(path: Path) -> None:
    with Store.create(path, keep_crops=False) as store:
        reference = enrol(store, 1, "ada").reference
        assert store.references.crop(reference) is None
        assert store.references.get(reference).has_crop is False
    assert crop_bytes(1)[:32] not in path.read_bytes()


def test_enrolling_again_changes_nothing(store: Store) -> None:
    first = enrol(store, 1, "ada")
    assert first == Enrolment(1, "enrolled", ())
    assert enrol(store, 1, "ada") == Enrolment(1, "already_enrolled", ())
    assert store.references.count() == 1
    assert store.changes.since(0) == [Change(1, "enrolled", 1)]


def test_another_face_of_the_photo_is_another_reference(store: Store) -> None:
    enrol(store, 1, "ada")
    second = store.references.enroll(sample(1, face_index=1), "ada", MODEL, unit_vector(2))
    assert second == Enrolment(2, "enrolled", ())


def test_collisions_name_the_other_subjects_of_the_photo(store: Store) -> None:
    enrol(store, 1, "cleo")
    assert enrol(store, 1, "ada").collisions == ("cleo",)
    assert enrol(store, 1, "bob").collisions == ("ada", "cleo")
    assert enrol(store, 1, "bob") == Enrolment(3, "already_enrolled", ("ada", "cleo"))
    assert enrol(store, 2, "bob").collisions == ()


def test_another_model_adds_a_template_to_the_reference(store: Store) -> None:
    enrol(store, 1, "ada")
    again = store.references.enroll(sample(1), "ada", OTHER_MODEL, unit_vector(5, dim=8))
    assert again == Enrolment(1, "enrolled", ())
    assert store.references.vectors(MODEL, [1])[1].tobytes() == unit_vector(1).tobytes()
    assert store.references.vectors(OTHER_MODEL, [1])[1].tobytes() == unit_vector(5, dim=8).tobytes()
    assert store.changes.since(0) == [Change(1, "enrolled", 1), Change(2, "enrolled", 1)]


def test_a_batch_is_enrolled_in_order(store: Store) -> None:
    done = store.references.enroll_many([request(1, "ada"), request(2, "bob"), request(1, "ada")], MODEL)
    assert done == [Enrolment(1, "enrolled", ()), Enrolment(2, "enrolled", ()), Enrolment(1, "already_enrolled", ())]
    assert store.references.enroll_many([], MODEL) == []


def test_a_batch_with_one_refusal_enrols_nothing(store: Store) -> None:
    wrong = EnrolmentRequest(sample(2), "bob", unit_vector(2), job_item=99)
    with pytest.raises(UsageError, match="No job item 99: nothing was enrolled"):
        store.references.enroll_many([request(1, "ada"), wrong], MODEL)
    assert store.references.count() == 0
    assert store.subjects.list() == []
    assert store.changes.revision() == 0


def test_template_and_job_item_are_settled_together(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("copy of a.jpg", "ada")])
    first, second = store.jobs.items(job.id)
    store.references.enroll(sample(1), "ada", MODEL, unit_vector(1), job_item=first.id)
    store.references.enroll(sample(1), "ada", MODEL, unit_vector(1), job_item=second.id)
    first, second = store.jobs.items(job.id)
    assert (first.status, first.reason, first.reference) == ("enrolled", None, 1)
    assert (second.status, second.reason, second.reference) == ("skipped", "already_enrolled", 1)


def test_an_item_whose_subject_was_erased_enrols_nothing(store: Store) -> None:
    enrol(store, 1, "ada")
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada")])
    (item,) = store.jobs.items(job.id)
    store.subjects.erase("ada")
    late = EnrolmentRequest(sample(2), "ada", unit_vector(2), item.id)
    done = store.references.enroll_many([late, request(3, "bob")], MODEL)
    assert done == [Enrolment(None, "withdrawn", ()), Enrolment(2, "enrolled", ())]
    assert [entry.subject for entry in store.subjects.list()] == ["bob"]
    (blank,) = store.jobs.items(job.id)
    assert (blank.path, blank.subject, blank.status, blank.reference) == ("", "", "skipped", None)


def test_an_item_enrols_for_its_subjects_present_name(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("b.jpg", "bob")])
    first, second = store.jobs.items(job.id)
    store.subjects.rename("ada", "Ada Lovelace")
    store.subjects.merge("bob", "Ada Lovelace")
    for number, name, item in ((3, "ada", first.id), (4, "bob", second.id)):
        assert (
            store.references.enroll(sample(number), name, MODEL, unit_vector(number), job_item=item).status
            == "enrolled"
        )
    assert [(entry.subject, entry.references) for entry in store.subjects.list()] == [("Ada Lovelace", 4)]


def test_an_item_settled_by_another_process_stays_as_it_is(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("b.jpg", "ada")])
    first, second = store.jobs.items(job.id)
    store.references.enroll(sample(1), "ada", MODEL, unit_vector(1), job_item=first.id)
    store.jobs.finish_items([(second.id, "failed", "no_face", None)])
    settled = list(store.jobs.items(job.id))
    again = store.references.enroll(sample(1), "ada", MODEL, unit_vector(1), job_item=first.id)
    assert again == Enrolment(1, "already_enrolled", ())
    failed = store.references.enroll(sample(2), "ada", MODEL, unit_vector(2), job_item=second.id)
    assert failed == Enrolment(None, "withdrawn", ())
    assert list(store.jobs.items(job.id)) == settled
    assert store.references.count() == 1


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.full(DIM, np.nan, dtype=np.float32), "NaN or infinity"),
        (np.array([np.inf] + [0] * (DIM - 1), dtype=np.float32), "NaN or infinity"),
        (unit_vector(1) * np.float32(1.002), "length 1, got 1.002"),
        (unit_vector(1) * np.float32(0.998), "length 1, got 0.998"),
        (np.zeros(DIM, dtype=np.float32), "length 1, got 0"),
        (np.zeros(0, dtype=np.float32), r"shape \(0,\)"),
        (unit_vector(1).reshape(1, -1), r"shape \(1, 16\)"),
        (unit_vector(1).astype(np.float64), "type float64"),
    ],
)
def test_bad_vectors_are_refused(store: Store, vector: Float32, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        store.references.enroll(sample(1), "ada", MODEL, vector)
    assert store.references.count() == 0


def test_a_vector_of_almost_unit_length_is_stored_unchanged(store: Store) -> None:
    vector = unit_vector(1) * np.float32(1.0009)
    store.references.enroll(sample(1), "ada", MODEL, vector)
    assert store.references.vectors(MODEL, [1])[1].tobytes() == vector.tobytes()


def test_one_model_has_one_number_of_dimensions(store: Store) -> None:
    enrol(store, 1, "ada")
    with pytest.raises(ValueError, match=r"got \[8, 16\]; check the embedder"):
        store.references.enroll(sample(2), "bob", MODEL, unit_vector(2, dim=8))
    assert store.subjects.count() == 1


@pytest.mark.parametrize("fingerprint", ["", "modèle"])
def test_a_fingerprint_is_ascii(store: Store, fingerprint: str) -> None:
    with pytest.raises(ValueError, match="fingerprint in ASCII"):
        store.references.enroll(sample(1), "ada", fingerprint, unit_vector(1))


@pytest.mark.parametrize(
    ("name", "message"), [("", "can be read"), (" \t\n\u3000", "can be read"), ("x" * 256, "255 characters, got 256")]
)
def test_names_that_cannot_be_stored_are_refused(store: Store, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        enrol(store, 1, name)
    assert store.subjects.count() == 0


def test_names_that_look_the_same_are_the_same(store: Store) -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    enrol(store, 1, decomposed)
    enrol(store, 2, "Zoë")
    assert [(entry.subject, entry.references) for entry in store.subjects.list()] == [("Zoë", 2)]
    assert store.subjects.show(decomposed).subject == "Zoë"
    assert len(store.references.find(source_sha256(1), decomposed)) == 1


def test_a_name_of_255_characters_is_accepted(store: Store) -> None:
    enrol(store, 1, "é" * 255)
    assert store.subjects.show("é" * 255).references[0].reference == 1


@pytest.mark.parametrize(
    ("name", "stored"), [("caf\udce9.jpg", r"caf\xe9.jpg"), ("\ud800.jpg", r"\ud800.jpg"), ("é.jpg", "é.jpg")]
)
def test_file_names_that_are_not_unicode_are_made_readable(store: Store, name: str, stored: str) -> None:
    store.references.enroll(sample(1, source_name=name), name, MODEL, unit_vector(1))
    assert store.references.get(1).source_name == stored
    assert store.subjects.show(name).subject == stored


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.create(tmp_path_factory.mktemp("vectors") / "gallery.sqlite")


def test_any_vector_comes_back_byte_equal(shared_store: Store) -> None:
    @settings(max_examples=40)
    @given(
        hnp.arrays(np.float32, st.integers(1, 600), elements=st.floats(-1, 1, width=32)).filter(
            lambda values: float(np.linalg.norm(values)) > 0.01
        )
    )
    def round_trip(values: Float32) -> None:
        vector = (values / np.linalg.norm(values)).astype(np.float32)
        model = f"model of {vector.size} dimensions, {vector.tobytes().hex()[:40]}"
        enrolment = shared_store.references.enroll(sample(1), "ada", model, vector)
        stored = shared_store.references.vectors(model, [enrolment.reference])[1][0]
        expected = vector if enrolment.status == "enrolled" else seen[model]
        assert stored.tobytes() == expected.tobytes()
        seen.setdefault(model, vector)

    seen: dict[str, Float32] = {}
    round_trip()
    assert shared_store.check() == []
    shared_store.close()
