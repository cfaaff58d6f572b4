"""Reading references, and giving them templates of another model."""

import numpy as np
import pytest

from tests.storage.builders import DIM, MODEL, OTHER_MODEL, crop_bytes, enrol, request, source_sha256, unit_vector
from twindex.errors import UsageError
from twindex.storage import KeptCrop, Store
from twindex.storage.sqlite.chunks import id_chunks
from twindex.types import Float32


def expected(numbers: list[int]) -> Float32:
    return np.stack([unit_vector(number) for number in numbers])


def test_vectors_come_in_ascending_order_without_missing_ones(store: Store) -> None:
    store.references.enroll_many([request(number, "ada") for number in (1, 2, 3)], MODEL)
    references, vectors = store.references.vectors(MODEL, [3, 1, 77, 3])
    assert references.dtype == np.int64
    assert references.tolist() == [1, 3]
    np.testing.assert_array_equal(vectors, expected([1, 3]))
    assert vectors.dtype == np.float32


def test_without_references_there_are_no_vectors(store: Store) -> None:
    enrol(store, 1, "ada")
    for references, vectors in (store.references.vectors(OTHER_MODEL, [1]), store.references.vectors(MODEL, [])):
        assert references.tolist() == []
        assert vectors.shape == (0, 0)


def test_long_lists_of_ids_are_split(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(piece) for piece in id_chunks([*range(2000), *range(5)])] == [900, 900, 200]
    monkeypatch.setattr("twindex.storage.sqlite.chunks._CHUNK", 3)
    store.references.enroll_many([request(number, f"subject {number % 2}") for number in range(1, 21)], MODEL)
    wanted = list(range(20, 0, -1))
    references, vectors = store.references.vectors(MODEL, wanted)
    assert references.tolist() == list(range(1, 21))
    np.testing.assert_array_equal(vectors, expected(list(range(1, 21))))
    assert store.references.owners(wanted) == {number: f"subject {number % 2}" for number in range(1, 21)}
    assert store.references.add_templates(OTHER_MODEL, references, vectors) == 20
    assert store.subjects.erase("subject 0").samples == 10
    assert store.references.vectors(OTHER_MODEL, wanted)[0].tolist() == list(range(1, 21, 2))


@pytest.mark.parametrize(("size", "lengths"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_batches_hold_everything_once_in_order(store: Store, size: int, lengths: list[int]) -> None:
    store.references.enroll_many([request(number, "ada") for number in range(1, 6)], MODEL)
    batches = list(store.references.batches(MODEL, size))
    assert [len(references) for references, _ in batches] == lengths
    assert np.concatenate([references for references, _ in batches]).tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in batches]), expected([1, 2, 3, 4, 5]))


def test_batches_block_nobody_and_include_later_changes(store: Store) -> None:
    store.references.enroll_many([request(number, f"subject {number}") for number in range(1, 5)], MODEL)
    batches = store.references.batches(MODEL, 2)
    assert next(batches)[0].tolist() == [1, 2]
    store.subjects.erase("subject 3")
    enrol(store, 5, "subject 5")
    assert [references.tolist() for references, _ in batches] == [[4, 5]]


def test_counts(store: Store) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "ada")], MODEL)
    enrol(store, 2, "ada", OTHER_MODEL)
    counts = [store.references.count(), store.references.count(MODEL), store.references.count(OTHER_MODEL)]
    assert counts == [2, 2, 1]
    assert store.references.count("nobody") == 0


def test_missing_gives_the_crops_to_embed_page_by_page(store: Store) -> None:
    store.references.enroll_many([request(number, "ada") for number in range(1, 5)], MODEL)
    enrol(store, 2, "ada", OTHER_MODEL)
    assert store.references.missing(OTHER_MODEL, 0, 2) == [KeptCrop(1, crop_bytes(1)), KeptCrop(3, crop_bytes(3))]
    assert store.references.missing(OTHER_MODEL, 3, 2) == [KeptCrop(4, crop_bytes(4))]
    assert store.references.missing(MODEL, 0, 9) == []


def test_added_templates_skip_erased_references_and_existing_templates(store: Store) -> None:
    store.references.enroll_many([request(number, f"subject {number}") for number in range(1, 5)], MODEL)
    enrol(store, 2, "subject 2", OTHER_MODEL)
    store.subjects.erase("subject 3")
    revision = store.changes.revision()
    ids = np.array([4, 3, 2, 1], dtype=np.int64)
    assert store.references.add_templates(OTHER_MODEL, ids, expected([14, 13, 12, 11])) == 2
    references, vectors = store.references.vectors(OTHER_MODEL, [1, 2, 3, 4])
    assert references.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(vectors, expected([11, 2, 14]))
    assert store.changes.revision() == revision
    assert store.references.add_templates(OTHER_MODEL, ids, expected([14, 13, 12, 11])) == 0


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        ([1, 1], np.stack([unit_vector(1)] * 2), "one vector for each distinct id"),
        ([1, 2], np.stack([unit_vector(1)]), "got 1 for 2 ids"),
        ([1], np.stack([unit_vector(1, dim=8)]), r"got \[8, 16\]"),
        ([1], np.full((1, DIM), np.nan, dtype=np.float32), "NaN"),
    ],
)
def test_added_templates_are_checked(store: Store, ids: list[int], vectors: Float32, message: str) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "bob")], MODEL)
    store.references.enroll_many([request(2, "bob")], OTHER_MODEL)
    with pytest.raises(ValueError, match=message):
        store.references.add_templates(OTHER_MODEL, np.array(ids, dtype=np.int64), vectors)
    assert store.references.count(OTHER_MODEL) == 1


def test_dropping_templates_leaves_other_models_alone(store: Store) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "bob")], MODEL)
    enrol(store, 1, "ada", OTHER_MODEL)
    assert store.references.drop_templates(MODEL) == 2
    assert store.references.drop_templates(MODEL) == 0
    assert store.references.count() == 2
    assert store.references.count(OTHER_MODEL) == 1


def test_owners(store: Store) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "bob")], MODEL)
    assert store.references.owners([2, 1, 9]) == {1: "ada", 2: "bob"}
    assert store.references.owners([]) == {}


def test_references_of_the_same_subjects(store: Store) -> None:
    names = ["ada", "bob", "ada", "cleo", "bob"]
    store.references.enroll_many([request(number, name) for number, name in enumerate(names, 1)], MODEL)
    assert store.references.families([3]) == {1: "ada", 3: "ada"}
    assert store.references.families([1, 5, 99]) == {1: "ada", 2: "bob", 3: "ada", 5: "bob"}
    assert store.references.families([]) == {}


def test_templates_of_one_model_only(store: Store) -> None:
    store.references.enroll_many([request(number, "ada") for number in (1, 2, 3)], MODEL)
    store.references.add_templates("b" * 64, np.array([2]), unit_vector(7)[None])
    assert store.references.ids(MODEL).tolist() == [1, 2, 3]
    assert store.references.ids("b" * 64).tolist() == [2]
    found, _ = store.references.vectors("b" * 64, [3, 2, 2, 99])
    assert found.tolist() == [2]
    assert store.references.vectors("c" * 64, [1, 2])[0].tolist() == []


def test_find_by_photo_and_subject(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 1, "bob")
    enrol(store, 2, "bob")
    assert [record.reference for record in store.references.find(source_sha256(1))] == [1, 2]
    assert [record.reference for record in store.references.find(source_sha256(1), "bob")] == [2]
    assert store.references.find(source_sha256(3)) == []
    assert store.references.find(source_sha256(2), "ada") == []


def test_an_unknown_reference_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="No reference 5"):
        store.references.get(5)
    with pytest.raises(UsageError, match="No reference 5"):
        store.references.crop(5)


def test_changes_are_those_after_a_revision(store: Store) -> None:
    store.references.enroll_many([request(number, "ada") for number in (1, 2, 3)], MODEL)
    assert [change.revision for change in store.changes.since(1)] == [2, 3]
    assert store.changes.since(3) == []
    assert store.changes.revision() == 3
