"""Several structures answer like a single one, whatever is added, removed, written and read."""

import faiss
import numpy as np
import pytest

from tests.index.galleries import DIM, build, ids, people
from twindex.errors import IntegrityError
from twindex.index import shards
from twindex.index.faiss_index import FaissIndex
from twindex.index.protocol import Hits
from twindex.index.shards import SHARDS, SHARED_FROM, Shards, shard_count
from twindex.index.spec import parse_spec

SPECS = ("PQ16x4fs", "PCAR32,PQ16x4fs")
IDS, VECTORS, PROBES = ids(400), people(400, seed=1), people(30, seed=2)


@pytest.fixture
def single(request: pytest.FixtureRequest) -> FaissIndex:
    """One structure."""
    return build(request.param, IDS, VECTORS)


@pytest.fixture
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FaissIndex:
    """The same references in several structures, because this gallery counts as large."""
    monkeypatch.setattr(shards, "SHARED_FROM", 100)
    return build(request.param, IDS, VECTORS)


both = pytest.mark.parametrize(("single", "shared"), [(text, text) for text in SPECS], indirect=True)


def _structures(index: FaissIndex) -> int:
    return index.serialize().count(faiss.serialize_index(faiss.IndexIDMap(faiss.IndexFlatL2(2)))[:4].tobytes())


def _assert_same(hits: Hits, expected: Hits) -> None:
    """Check for the same distances, and the same references except where distances are equal."""
    np.testing.assert_allclose(hits.distances, expected.distances, atol=1e-6)
    inner = expected.distances < expected.distances[:, -1:] - 1e-6
    for mine, theirs, kept in zip(hits.references, expected.references, inner, strict=True):
        assert set(theirs[kept].tolist()) <= set(mine.tolist())


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("PQ64x4fs", SHARED_FROM, SHARDS),
        ("PCAR128,PQ64x4fs", 10_000_000, SHARDS),
        ("PQ64x4fs", SHARED_FROM - 1, 1),
        ("IVF256,PQ64x4fs", 10_000_000, 1),
        ("Flat", 10_000_000, 1),
        ("HNSW32", 10_000_000, 1),
    ],
)
def test_only_large_indexes_that_scan_all_codes_are_split(text: str, count: int, expected: int) -> None:
    assert shard_count(parse_spec(text, count), count) == expected


@both
@pytest.mark.parametrize("probes", [1, SHARDS, 30])
@pytest.mark.parametrize("k", [1, 20, 150, 500])
def test_several_structures_answer_like_one(single: FaissIndex, shared: FaissIndex, probes: int, k: int) -> None:
    assert (_structures(single), _structures(shared)) == (1, SHARDS)
    _assert_same(shared.search(PROBES[:probes], k), single.search(PROBES[:probes], k))


@both
def test_removal_and_addition_reach_every_structure(single: FaissIndex, shared: FaissIndex) -> None:
    for index in (single, shared):
        assert index.remove(IDS[:130]) == 130
        index.add(IDS[:60], VECTORS[:60])
        index.add(IDS[60:61], VECTORS[60:61])
    np.testing.assert_array_equal(shared.references(), single.references())
    for start in range(len(PROBES)):
        probe = PROBES[start : start + 1]
        _assert_same(shared.search(probe, 400), single.search(probe, 400))


@both
def test_a_structure_read_back_gives_the_same_answers(single: FaissIndex, shared: FaissIndex) -> None:
    shared.remove(IDS[:7])
    single.remove(IDS[:7])
    copy = FaissIndex.deserialize(shared.spec, shared.serialize(), DIM, 393)
    assert _structures(copy) == SHARDS
    _assert_same(copy.search(PROBES, 50), single.search(PROBES, 50))


@pytest.mark.parametrize(("single", "shared"), [("PQ16x4fs", "PQ16x4fs")], indirect=True)
def test_an_index_can_lose_all_of_its_references(single: FaissIndex, shared: FaissIndex) -> None:
    shared.remove(IDS[1:])
    assert shared.search(PROBES[:1], 3).references.tolist() == [[IDS[0], -1, -1]]
    shared.remove(IDS)
    assert shared.search(PROBES[:1], 1).references.tolist() == [[-1]]
    shared.add(IDS, VECTORS)
    _assert_same(shared.search(PROBES[:2], 10), single.search(PROBES[:2], 10))


@pytest.mark.parametrize(("single", "shared"), [("PQ16x4fs", "PQ16x4fs")], indirect=True)
def test_a_search_restores_the_number_of_faiss_threads(single: FaissIndex, shared: FaissIndex) -> None:
    faiss.omp_set_num_threads(3)
    shared.search(PROBES[:1], 5)
    assert faiss.omp_get_max_threads() == 3
    faiss.omp_set_num_threads(1)


def test_new_references_go_to_the_smallest_structure_first() -> None:
    structures = [faiss.IndexIDMap(faiss.IndexFlatL2(DIM)) for _ in range(3)]
    together = Shards(structures)
    for number in range(7):
        together.add(IDS[number : number + 1], VECTORS[number : number + 1])
    assert sorted(structure.ntotal for structure in structures) == [2, 2, 3]
    together.add(IDS[7:100], VECTORS[7:100])
    assert together.entries == 100
    assert max(structure.ntotal for structure in structures) <= 34
    np.testing.assert_array_equal(np.sort(together.ids()), np.sort(IDS[:100]))


@pytest.mark.parametrize("text", ["Flat", "HNSW32", "IVF16,PQ16x4fs"])
def test_several_structures_where_one_is_expected_are_refused(text: str) -> None:
    index = build(text, IDS, VECTORS)
    twice = index.serialize() + build(text, IDS + 1, VECTORS).serialize()
    with pytest.raises(IntegrityError, match="2 structures, expected one"):
        FaissIndex.deserialize(index.spec, twice, DIM, 800)


def test_structures_of_different_kinds_are_refused() -> None:
    index = build("PQ16x4fs", IDS, VECTORS)
    mixed = index.serialize() + build("PQ16x4fs", IDS[:3] + 1, VECTORS[:3]).serialize()
    with pytest.raises(IntegrityError, match="2 structures, expected one"):
        FaissIndex.deserialize(index.spec, mixed, DIM, 403)


def test_a_reference_in_two_structures_is_refused() -> None:
    index = build("PQ16x4fs", IDS, VECTORS)
    with pytest.raises(IntegrityError, match="repeated"):
        FaissIndex.deserialize(index.spec, index.serialize() * 2, DIM, 800)


@pytest.mark.parametrize("length", [3, 100, -1])
def test_bytes_after_the_last_structure_are_refused(length: int) -> None:
    index = build("PQ16x4fs", IDS, VECTORS)
    data = index.serialize()
    with pytest.raises(IntegrityError, match="FAISS failed while reading an index"):
        FaissIndex.deserialize(index.spec, data + data[:length], DIM, 400)
