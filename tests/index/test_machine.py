"""Random sequences of adding, removing, searching and snapshots: every structure against the oracle."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.index.galleries import ALL_SPECS, DIM, DISTANCE_BOUNDS, assert_exact, assert_near, build, oracle, people
from twindex.index.faiss_index import FaissIndex
from twindex.index.snapshot import SnapshotIdentity, read_snapshot, write_snapshot
from twindex.index.spec import parse_spec

START = 300
# A graph may miss a neighbour of an arbitrary probe; its recall is measured in test_graph.
EXHAUSTIVE = ("Flat", "IVF16,Flat")
SEEDS = st.integers(0, 2**32 - 1)


@cache
def _started(text: str) -> bytes:
    return build(text, np.arange(START), people(START, seed=1)).serialize()


class IndexMachine(RuleBasedStateMachine):
    """An index and its oracle, which get the same operations."""

    text = "Flat"

    @initialize()
    def start(self) -> None:
        self.index = FaissIndex.deserialize(parse_spec(self.text, START), _started(self.text), DIM, START)
        self.truth = oracle(np.arange(START), people(START, seed=1))
        self.next_id = START
        self.removed: list[int] = []

    @rule(count=st.integers(1, 40), seed=SEEDS)
    def add_new(self, count: int, seed: int) -> None:
        references = np.arange(self.next_id, self.next_id + count)
        self.next_id += count
        self._add(references, people(count, seed))

    @rule(seed=SEEDS)
    def add_the_same_vector_twice(self, seed: int) -> None:
        references = np.array([self.next_id + 1, self.next_id])
        self.next_id += 2
        self._add(references, np.repeat(people(1, seed), 2, axis=0))

    @precondition(lambda self: self.removed)
    @rule(data=st.data(), seed=SEEDS)
    def add_removed_again(self, data: st.DataObject, seed: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.removed), min_size=1, max_size=40, unique=True))
        self.removed = [reference for reference in self.removed if reference not in chosen]
        self._add(np.array(chosen), people(len(chosen), seed))

    @rule(share=st.floats(0, 1), seed=SEEDS)
    def remove(self, share: float, seed: int) -> None:
        live = self.index.references()
        gone = live[np.random.default_rng(seed).permutation(len(live))[: round(share * len(live))]]
        asked = np.concatenate([gone, [self.next_id, -5]])
        assert self.index.remove(asked) == self.truth.remove(asked) == len(gone)
        self.removed.extend(gone.tolist())

    @rule(count=st.integers(1, 30), k=st.integers(1, 400), seed=SEEDS)
    def search(self, count: int, k: int, seed: int) -> None:
        probes = people(count, seed)
        hits = self.index.search(probes, k)
        if self.text in EXHAUSTIVE:
            assert_exact(hits, self.truth, probes)
        else:
            assert_near(hits, self.truth, probes, DISTANCE_BOUNDS.get(self.text, 1e-3))

    @rule()
    def snapshot(self) -> None:
        identity = SnapshotIdentity("gallery", 1, "f", self.text, DIM, 9, self.index.count)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.twdx"
            self.index = read_snapshot(path, write_snapshot(self.index, path, identity), identity)

    @invariant()
    def same_references(self) -> None:
        everyone = np.arange(self.next_id + 1)
        np.testing.assert_array_equal(self.index.contains(everyone), self.truth.contains(everyone))
        np.testing.assert_array_equal(self.index.references(), everyone[self.truth.contains(everyone)])
        assert self.index.count == self.truth.count

    def _add(self, references: np.ndarray, vectors: np.ndarray) -> None:
        self.index.add(references, vectors)
        self.truth.add(references, vectors)


def _machine_test(text: str) -> type:
    machine = type("Machine", (IndexMachine,), {"text": text})
    machine.TestCase.settings = settings(max_examples=15, stateful_step_count=15)
    return machine.TestCase


for _text in ALL_SPECS:
    globals()["Test" + "".join(filter(str.isalnum, _text))] = _machine_test(_text)
