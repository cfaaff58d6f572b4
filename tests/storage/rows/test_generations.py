"""Generations and their snapshots."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.storage.builders import MODEL, OTHER_MODEL, enrol, file_names, unit_vector
from twindex.errors import ModelMismatchError, UsageError
from twindex.storage import Snapshot, Store

SNAPSHOT = Snapshot(file="generation-1.faiss", length=4096, sha256="c3" * 32, revision=17, count=12)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where the snapshot's file is."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / SNAPSHOT.file).touch()
    return folder


def states(store: Store) -> dict[int, str]:
    return {generation.id: generation.state for generation in store.generations.list()}


def test_a_new_generation_is_being_built(store: Store) -> None:
    generation = store.generations.add(MODEL, "IVF64,Flat")
    assert (generation.fingerprint, generation.index_spec, generation.state) == (MODEL, "IVF64,Flat", "building")
    assert (generation.activated, generation.snapshot) == (None, None)
    assert store.generations.get(generation.id) == generation
    assert store.generations.building() == [generation]
    assert store.generations.active() is None


def test_a_generation_with_a_missing_template_is_not_activated(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    generation = store.generations.add(OTHER_MODEL, "Flat")
    store.references.add_templates(OTHER_MODEL, np.array([2]), unit_vector(2)[None])
    assert store.generations.activate(generation.id) is False
    assert (store.generations.active(), store.generations.active_id()) == (None, None)
    store.references.add_templates(OTHER_MODEL, np.array([1]), unit_vector(1)[None])
    assert store.generations.activate(generation.id) is True
    assert store.generations.active_id() == generation.id
    store.references.drop_templates(MODEL)
    store.subjects.erase("ada")
    again = store.generations.add(OTHER_MODEL, "Flat")
    assert store.generations.activate(again.id) is True


def test_activating_retires_the_previous_generation(store: Store) -> None:
    first, second = store.generations.add(MODEL, "Flat"), store.generations.add(OTHER_MODEL, "Flat")
    store.generations.activate(first.id)
    assert states(store) == {first.id: "active", second.id: "building"}
    store.generations.activate(second.id)
    assert states(store) == {first.id: "retired", second.id: "active"}
    active = store.generations.active()
    assert active is not None
    assert active.activated is not None
    assert active.activated >= active.created
    store.generations.activate(first.id)
    assert states(store) == {first.id: "active", second.id: "retired"}
    before = store.generations.active()
    store.generations.activate(first.id)
    assert store.generations.active() == before


def test_the_active_generation_cannot_be_deleted(store: Store) -> None:
    first, second = store.generations.add(MODEL, "Flat"), store.generations.add(MODEL, "Flat")
    store.generations.activate(first.id)
    with pytest.raises(UsageError, match="answers the queries; activate another"):
        store.generations.delete(first.id)
    store.generations.delete(second.id)
    assert states(store) == {first.id: "active"}
    assert store.generations.add(MODEL, "Flat").id == second.id + 1


def test_a_snapshot_is_recorded_and_forgotten(store: Store, files: Path) -> None:
    generation = store.generations.add(MODEL, "Flat")
    store.generations.record_snapshot(generation.id, SNAPSHOT, files)
    assert store.generations.get(generation.id).snapshot == SNAPSHOT
    store.generations.forget_snapshot(generation.id)
    assert store.generations.get(generation.id).snapshot is None


def test_a_snapshot_overtaken_by_an_erasure_is_refused(store: Store, files: Path) -> None:
    generation = store.generations.add(MODEL, "Flat")
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    before, after = replace(SNAPSHOT, revision=2), replace(SNAPSHOT, revision=3)
    assert store.generations.record_snapshot(generation.id, before, files) is True
    store.subjects.erase("ada")
    assert store.generations.record_snapshot(generation.id, before, files) is False
    assert store.generations.get(generation.id).snapshot is None
    enrol(store, 3, "cleo")
    assert store.generations.record_snapshot(generation.id, after, files) is True
    assert store.generations.get(generation.id).snapshot == after


def test_a_snapshot_whose_file_was_removed_meanwhile_is_not_listed(store: Store, files: Path) -> None:
    generation = store.generations.add(MODEL, "Flat")
    (files / SNAPSHOT.file).unlink()
    assert store.generations.record_snapshot(generation.id, SNAPSHOT, files) is False
    assert store.generations.get(generation.id).snapshot is None


def test_only_unlisted_files_are_removed(store: Store, files: Path) -> None:
    store.generations.record_snapshot(store.generations.add(MODEL, "Flat").id, SNAPSHOT, files)
    for name in ("other.twdx", ".a.twindex-partial"):
        (files / name).touch()
    store.generations.remove_unlisted(files)
    assert file_names(files) == [SNAPSHOT.file]


def test_an_erasure_forgets_every_snapshot(store: Store, files: Path) -> None:
    enrol(store, 1, "ada")
    for model in (MODEL, OTHER_MODEL):
        store.generations.record_snapshot(store.generations.add(model, "Flat").id, SNAPSHOT, files)
    assert [generation.snapshot for generation in store.generations.list()] == [SNAPSHOT, SNAPSHOT]
    store.subjects.erase("ada")
    assert [generation.snapshot for generation in store.generations.list()] == [None, None]


def test_an_unknown_generation_is_refused(store: Store, files: Path) -> None:
    for call in (
        store.generations.get,
        store.generations.activate,
        store.generations.delete,
        store.generations.forget_snapshot,
    ):
        with pytest.raises(UsageError, match="No generation 9"):
            call(9)
    with pytest.raises(UsageError, match="No generation 9"):
        store.generations.record_snapshot(9, SNAPSHOT, files)


def test_a_model_that_does_not_answer_enrols_nobody(store: Store) -> None:
    store.generations.activate(store.generations.add(MODEL, "Flat").id)
    with pytest.raises(
        ModelMismatchError, match=r"answers with model a1a1.*the templates are of b2b2.*embed the photos"
    ):
        enrol(store, 1, "ada", OTHER_MODEL)
    assert store.references.count() == 0


def test_a_generation_whose_model_lacks_a_template_does_not_become_active(store: Store) -> None:
    first = store.generations.add(MODEL, "Flat")
    store.generations.activate(first.id)
    reference = enrol(store, 1, "ada").reference
    second = store.generations.add(OTHER_MODEL, "Flat")
    assert not store.generations.activate(second.id)
    assert store.generations.active() == store.generations.get(first.id)
    store.references.add_templates(OTHER_MODEL, np.array([reference]), unit_vector(2)[None])
    assert store.generations.activate(second.id)
