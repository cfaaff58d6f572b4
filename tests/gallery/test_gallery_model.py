"""The gallery against a dictionary and an exact oracle, whatever the order of operations, for every index type."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.embedders import StandIn
from tests.storage.builders import DIM, OTHER_MODEL, sample
from twindex.embedder.model.registry import find_model
from twindex.errors import UsageError
from twindex.gallery import Gallery
from twindex.gallery.captures import Capture
from twindex.gallery.search.candidates import best_subjects
from twindex.gallery.search.searchable import open_snapshot
from twindex.index.choice import AUTO
from twindex.jobs.reindex import prune, reindex, roll_back
from twindex.scoring import SAME_PHOTO, Head
from twindex.types import Float32, UInt8

START = 280  # enough to train every type
EXACT_UP_TO = 270  # so that "auto" changes its structure within reach of these tests
EXACT = ("flat", "ivf")  # with so few cells, a search visits all of them
NAMES = [f"subject {number}" for number in range(8)]
NAME = st.sampled_from([*NAMES, "ada", "bob"])
NUMBERS = st.lists(st.integers(0, START + 60), min_size=1, max_size=4, unique=True)
HEAD = Head(-6.0, 6.5)
TOP = 3


@cache
def template(number: int, fingerprint: str) -> Float32:
    """(16,) float32 of unit length near one of eight centres; every model sees it otherwise."""
    seed = int(fingerprint[:8], 16)
    centre = np.random.default_rng([number % 8, seed]).normal(size=DIM)
    vector = centre + 0.5 * np.random.default_rng([number, seed, 1]).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class NumberEmbedder(StandIn):
    """Templates from the number that stands in for a crop."""

    dim = DIM

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def embed(self, crops: UInt8) -> Float32:
        """(n, 16) float32 of (n, 8) uint8."""
        return np.stack([template(int.from_bytes(crop.tobytes(), "little"), self.fingerprint) for crop in crops])

    def embed_kept(self, crops: Sequence[bytes]) -> Float32:
        """(n, 16) float32."""
        return self.embed(np.stack([np.frombuffer(crop, np.uint8) for crop in crops]))


def crop(number: int) -> bytes:
    return number.to_bytes(8, "little")


def light() -> pytest.MonkeyPatch:
    """Numbers for crops, and a smaller "auto"; until it is undone."""
    patch = pytest.MonkeyPatch()
    patch.setattr("twindex.jobs.reindex.decode_crop", lambda data: np.frombuffer(data, np.uint8))
    patch.setattr(Gallery, "embedder", lambda _gallery, fingerprint: NumberEmbedder(fingerprint))
    patch.setattr(Gallery, "use", lambda _gallery, embedder: embedder)
    patch.setattr("twindex.index.choice.EXACT_UP_TO", EXACT_UP_TO)
    return patch


def enrol(gallery: Gallery, numbers: list[int], names: list[str]) -> list[tuple[int, bool]]:
    """Reference, and whether it is new, of each."""
    captures = [Capture(sample(number, crop=crop(number)), name) for number, name in zip(numbers, names, strict=True)]
    done = gallery.commit(captures)
    return [(one.reference or 0, one.status == "enrolled") for one in done]


_originals = ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _originals_are_removed() -> Iterator[None]:
    yield
    started.cache_clear()
    _originals.close()


@cache
def started(index: str) -> tuple[Path, int]:
    """A gallery of 280 references with a snapshot of one type, to be copied; its folder, and the generation's id."""
    folder = Path(_originals.enter_context(tempfile.TemporaryDirectory())) / "gallery"
    with Gallery.create(folder) as gallery:
        enrol(gallery, list(range(START)), [NAMES[number % 8] for number in range(START)])
        if index != AUTO:
            reindex(gallery, None, index, lambda _done, _total: None)
            prune(gallery)
        gallery.searchable().compact()
        return folder, gallery.active().id


class GalleryMachine(RuleBasedStateMachine):
    """`held` maps a reference to its subject and number; `earlier` lists retired generations, the latest last."""

    index = "flat"

    @initialize()
    def start(self) -> None:
        self.patch = light()
        self.patched_folder = tempfile.TemporaryDirectory()
        self.folder = Path(self.patched_folder.name) / "gallery"
        original, generation = started(self.index)
        shutil.copytree(original, self.folder)
        self.gallery = Gallery.open(self.folder)
        self.held = {number + 1: (NAMES[number % 8], number) for number in range(START)}
        self.issued = START
        self.active = (generation, find_model("default").card.fingerprint)
        self.earlier: list[tuple[int, str]] = []
        self.next_generation = generation + 1
        self.lost: set[str] = set()

    def teardown(self) -> None:
        try:
            assert self.gallery.store.check() == []
            for generation in self.gallery.store.generations.list():
                if generation.snapshot is not None and generation.snapshot.file not in self.lost:
                    open_snapshot(self.gallery.store, self.gallery.snapshots, generation, DIM)
        finally:
            self.gallery.close()
            self.patched_folder.cleanup()
            self.patch.undo()

    def names(self) -> set[str]:
        return {name for name, _ in self.held.values()}

    def held_by(self, name: str) -> dict[int, int]:
        return {reference: number for reference, (owner, number) in self.held.items() if owner == name}

    @rule(numbers=NUMBERS, name=NAME)
    def enrol(self, numbers: list[int], name: str) -> None:
        known = {face: reference for reference, face in self.held.items()}
        for number, (reference, new) in zip(numbers, enrol(self.gallery, numbers, [name] * len(numbers)), strict=True):
            assert new == ((name, number) not in known)
            if new:
                assert reference > self.issued
                self.issued = reference
                self.held[reference] = (name, number)
            else:
                assert reference == known[name, number]

    @rule(name=NAME)
    def erase(self, name: str) -> None:
        mine = self.held_by(name)
        if name not in self.names():
            with pytest.raises(UsageError, match="No subject named"):
                self.gallery.erase(name)
            return
        assert self.gallery.erase(name).references == tuple(sorted(mine))
        for reference in mine:
            del self.held[reference]

    @rule(name=NAME, new=NAME)
    def rename(self, name: str, new: str) -> None:
        if name not in self.names() or (new in self.names() and new != name):
            with pytest.raises(UsageError, match=r"No subject named|is taken"):
                self.gallery.store.subjects.rename(name, new)
            return
        self.gallery.store.subjects.rename(name, new)
        self.held.update({reference: (new, number) for reference, number in self.held_by(name).items()})

    @rule(source=NAME, into=NAME)
    def merge(self, source: str, into: str) -> None:
        if not {source, into} <= self.names() or source == into:
            with pytest.raises(UsageError, match=r"No subject named|with itself"):
                self.gallery.store.subjects.merge(source, into)
            return
        kept = set(self.held_by(into).values())
        moved = {reference: number for reference, number in self.held_by(source).items() if number not in kept}
        assert self.gallery.store.subjects.merge(source, into) == len(moved)
        for reference in self.held_by(source):
            del self.held[reference]
        self.held.update({reference: (into, number) for reference, number in moved.items()})

    @rule(another=st.booleans())
    def reindex(self, another: bool) -> None:
        model = self.other_model() if another else self.active[1]
        report = reindex(self.gallery, NumberEmbedder(model), self.index, lambda _done, _total: None)  # type: ignore[arg-type]
        assert (report.generation, report.model, report.failed) == (self.next_generation, model, 0)
        assert report.references == len(self.held)
        self.earlier.append(self.active)
        self.active = (self.next_generation, model)
        self.next_generation += 1

    def other_model(self) -> str:
        return OTHER_MODEL if self.active[1] != OTHER_MODEL else find_model("default").card.fingerprint

    @rule()
    def roll_back(self) -> None:
        if not self.earlier:
            with pytest.raises(UsageError, match="no earlier generation"):
                roll_back(self.gallery, lambda _done, _total: None)
            return
        back = self.earlier.pop()
        assert roll_back(self.gallery, lambda _done, _total: None).generation == back[0]
        self.earlier.append(self.active)
        self.active = back

    @rule()
    def prune(self) -> None:
        assert prune(self.gallery)[0] == len(self.earlier)
        self.earlier = []

    @rule()
    def compact(self) -> None:
        assert self.gallery.searchable().compact().count == len(self.held)

    @rule()
    def reopen(self) -> None:
        self.gallery.close()
        self.gallery = Gallery.open(self.folder)

    @rule()
    def lose_the_index_files(self) -> None:
        self.lost.update(file.name for file in self.gallery.snapshots.glob("*"))
        shutil.rmtree(self.gallery.snapshots, ignore_errors=True)
        self.reopen()

    @rule(place=st.integers(0, 10_000), step=st.floats(0, 0.2))
    def search(self, place: int, step: float) -> None:
        if self.held:
            reference = sorted(self.held)[place % len(self.held)]
            away = np.random.default_rng(place).normal(size=DIM)
            probe = template(self.held[reference][1], self.active[1]) + step * away / np.linalg.norm(away)
            self.assert_answers((probe / np.linalg.norm(probe)).astype(np.float32))

    @invariant()
    def agrees(self) -> None:
        generation = self.gallery.active()
        assert (generation.id, generation.fingerprint) == self.active
        searchable = self.gallery.searchable()
        assert searchable.references().tolist() == sorted(self.held)
        found, vectors = self.gallery.store.references.vectors(self.active[1], sorted(self.held))
        assert found.tolist() == sorted(self.held)
        for reference, vector in zip(found.tolist(), vectors, strict=True):
            assert vector.tobytes() == template(self.held[reference][1], self.active[1]).tobytes()
        if not self.held:
            return
        # The newest is its own first candidate, and who holds the same photo, at distance 0 like it.
        newest = max(self.held)
        _, number = self.held[newest]
        best = best_subjects(self.gallery.store, searchable, template(number, self.active[1]), HEAD, TOP)[0]
        assert best.distance == 0
        assert self.held[best.reference] == (best.subject, number)

    def assert_answers(self, probe: Float32) -> None:
        """The candidates' distances are the oracle's, and where the index is exact so is their choice."""
        searchable = self.gallery.searchable()
        found = best_subjects(self.gallery.store, searchable, probe, HEAD, TOP)
        expected = self.oracle(probe)
        assert len(found) == len({one.subject for one in found}) == min(TOP, len(self.names()))
        distances = [one.distance for one in found]
        assert distances == sorted(distances)
        np.testing.assert_allclose(distances, [expected[one.subject] for one in found], atol=1e-6)
        np.testing.assert_allclose([one.probability for one in found], HEAD.probability(np.array(distances)))
        assert all(self.held[one.reference][0] == one.subject for one in found)
        if self.index in EXACT:
            reachable = [expected[name] for name in self.reachable(probe, searchable.candidates)]
            np.testing.assert_allclose(distances, sorted(reachable)[:TOP], atol=1e-6)

    def distances(self, probe: Float32) -> dict[int, float]:
        vectors = np.array([template(number, self.active[1]) for _, number in self.held.values()], np.float64)
        return dict(zip(self.held, np.linalg.norm(vectors - probe, axis=1).tolist(), strict=True))

    def oracle(self, probe: Float32) -> dict[str, float]:
        """Every subject's exact distance: to its own photo, or to the direction of its templates' mean."""
        alone, found = self.distances(probe), {}
        for name in self.names():
            mine = self.held_by(name)
            nearest = min(alone[reference] for reference in mine)
            mean = np.mean([template(number, self.active[1]) for number in mine.values()], axis=0, dtype=np.float64)
            fused = float(np.linalg.norm(mean / np.linalg.norm(mean) - probe))
            found[name] = nearest if len(mine) == 1 or nearest < SAME_PHOTO else fused
        return found

    def reachable(self, probe: Float32, wanted: int) -> set[str]:
        """The subjects of so many nearest references, or of more until there are enough of them."""
        nearest = sorted(self.distances(probe).items(), key=lambda one: one[1])
        while True:
            names = {self.held[reference][0] for reference, _ in nearest[:wanted]}
            if len(names) >= min(TOP, len(self.names())):
                return names
            wanted *= 4


def _machine_test(index: str) -> type:
    machine = type("Machine", (GalleryMachine,), {"index": index})
    machine.TestCase.settings = settings(max_examples=6, stateful_step_count=12)
    return machine.TestCase if index in ("flat", AUTO) else pytest.mark.slow(machine.TestCase)


for _index in ("flat", "hnsw", "ivf", "sq8", "pq", AUTO):
    globals()[f"Test{_index.capitalize()}"] = _machine_test(_index)
