"""The store against a plain dictionary, whatever the order of operations."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.storage.builders import MODEL, enrol, unit_vector
from twindex.errors import UsageError
from twindex.storage import Store

NAMES = st.sampled_from(["ada", "bob", "cleo"])


class StoreMachine(RuleBasedStateMachine):
    """`model` maps a reference to its subject and the number of its face."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "gallery.sqlite"
        self.store = Store.create(self.path)
        self.model: dict[int, tuple[str, int]] = {}
        self.issued = 0

    def teardown(self) -> None:
        assert self.store.check() == []
        self.store.close()
        self.folder.cleanup()

    def held_by(self, name: str) -> dict[int, int]:
        return {reference: number for reference, (owner, number) in self.model.items() if owner == name}

    @rule(number=st.integers(0, 4), name=NAMES)
    def enrol(self, number: int, name: str) -> None:
        done = enrol(self.store, number, name)
        if (name, number) in self.model.values():
            assert done.status == "already_enrolled"
            assert self.model[done.reference] == (name, number)
        else:
            assert done.status == "enrolled"
            assert done.reference > self.issued
            self.issued = done.reference
            self.model[done.reference] = (name, number)
        others = {owner for owner, held in self.model.values() if held == number and owner != name}
        assert done.collisions == tuple(sorted(others))

    @rule(name=NAMES)
    def erase(self, name: str) -> None:
        mine = self.held_by(name)
        if not mine:
            with pytest.raises(UsageError, match="No subject named"):
                self.store.subjects.erase(name)
            return
        assert self.store.subjects.erase(name).references == tuple(sorted(mine))
        for reference in mine:
            del self.model[reference]

    @precondition(lambda self: len({owner for owner, _ in self.model.values()}) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        owners = sorted({owner for owner, _ in self.model.values()})
        source, target = data.draw(st.permutations(owners))[:2]
        kept = set(self.held_by(target).values())
        moved = {reference: number for reference, number in self.held_by(source).items() if number not in kept}
        assert self.store.subjects.merge(source, target) == len(moved)
        for reference in self.held_by(source):
            del self.model[reference]
        self.model.update({reference: (target, number) for reference, number in moved.items()})

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.path)

    @invariant()
    def agrees(self) -> None:
        assert self.store.references.owners(list(range(1, self.issued + 1))) == {
            reference: owner for reference, (owner, _) in self.model.items()
        }
        references, vectors = self.store.references.vectors(MODEL, list(range(1, self.issued + 1)))
        assert references.tolist() == sorted(self.model)
        for reference, vector in zip(references.tolist(), vectors, strict=True):
            assert vector.tobytes() == unit_vector(self.model[reference][1]).tobytes()
        replayed: set[int] = set()
        for change in self.store.changes.since(0):
            (replayed.add if change.kind == "enrolled" else replayed.remove)(change.reference)
        assert replayed == set(self.model)


StoreMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=15)
TestStoreModel = StoreMachine.TestCase
