"""Every structure against the exact oracle: ids, order and distances, also after removing and adding again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.index.galleries import (
    ALL_SPECS,
    DIM,
    DISTANCE_BOUNDS,
    EXACT_SPECS,
    QUANTISED_SPECS,
    assert_exact,
    assert_near,
    build,
    ids,
    oracle,
    people,
)
from tests.index.oracle import ExactIndex
from twindex.errors import IntegrityError, UsageError
from twindex.index.faiss_index import FaissIndex
from twindex.index.spec import parse_spec
from twindex.index.structure import exhaustive_structure

COUNT = 700
VECTORS = people(COUNT, seed=1)
IDS = ids(COUNT)
PROBES = people(40, seed=2)


@pytest.mark.parametrize("text", EXACT_SPECS)
@pytest.mark.parametrize("probes", [PROBES, PROBES[:3], VECTORS[:40]], ids=["batch", "few", "enrolled"])
def test_exact_structures_agree_with_the_oracle(text: str, probes: np.ndarray) -> None:
    assert_exact(build(text, IDS, VECTORS).search(probes, 25), oracle(IDS, VECTORS), probes)


@pytest.mark.parametrize("text", QUANTISED_SPECS)
def test_quantised_structures_find_the_nearest_and_estimate_their_distance(text: str) -> None:
    truth = oracle(IDS, VECTORS)
    hits = build(text, IDS, VECTORS).search(PROBES, 100)
    assert_near(hits, truth, PROBES, DISTANCE_BOUNDS[text])
    nearest = truth.search(PROBES, 10).references
    recall = np.mean(
        [np.isin(expected, found).mean() for expected, found in zip(nearest, hits.references, strict=True)]
    )
    assert recall >= 0.98


@pytest.mark.parametrize("text", ALL_SPECS)
def test_removed_references_are_never_found_and_can_be_added_again(text: str) -> None:
    index, truth = build(text, IDS, VECTORS), oracle(IDS, VECTORS)
    gone = IDS[::3]
    absent = np.array([0, 5], np.int64)
    assert index.remove(np.concatenate([gone, absent, gone[:4]])) == len(gone)
    truth.remove(gone)
    _compare(index, truth)
    assert index.remove(gone) == 0
    back, moved = gone[:50], people(50, seed=9)
    index.add(back, moved)
    truth.add(back, moved)
    _compare(index, truth)
    np.testing.assert_array_equal(index.contains(IDS), truth.contains(IDS))
    np.testing.assert_array_equal(index.references(), np.sort(np.concatenate([np.setdiff1d(IDS, gone), back])))


@pytest.mark.parametrize("text", ALL_SPECS)
@pytest.mark.parametrize("kept", [0, 1, 31, 32, 33, 233])
def test_removing_and_adding_gives_what_only_adding_would(text: str, kept: int) -> None:
    removed = build(text, IDS, VECTORS)
    rebuilt = FaissIndex.deserialize(removed.spec, removed.serialize(), DIM, COUNT)
    removed.remove(IDS[kept::2])
    removed.remove(IDS[kept + 1 :: 2][::-1])
    removed.add(IDS[300:350], VECTORS[300:350])
    rebuilt.remove(IDS)
    rebuilt.add(IDS[:kept], VECTORS[:kept])
    rebuilt.add(IDS[300:350], VECTORS[300:350])
    hits, expected = removed.search(PROBES, 100), rebuilt.search(PROBES, 100)
    np.testing.assert_array_equal(hits.references, expected.references)
    np.testing.assert_allclose(hits.distances, expected.distances, atol=1e-6, rtol=0)


def _compare(index: FaissIndex, truth: ExactIndex) -> None:
    every = index.count + 5
    if index.spec.text in EXACT_SPECS:
        assert_exact(index.search(PROBES, 20), truth, PROBES)
        assert_exact(index.search(PROBES[:4], every), truth, PROBES[:4])
    else:
        bound = DISTANCE_BOUNDS[index.spec.text]
        assert_near(index.search(PROBES, 20), truth, PROBES, bound)
        assert_near(index.search(PROBES[:4], every), truth, PROBES[:4], bound)


@pytest.mark.parametrize("text", ALL_SPECS)
def test_an_emptied_index_returns_padding_and_can_be_filled_again(text: str) -> None:
    index = build(text, IDS, VECTORS)
    assert index.remove(IDS) == COUNT
    assert index.count == 0
    hits = index.search(PROBES[:2], 3)
    assert hits.references.tolist() == [[-1] * 3] * 2
    assert np.isinf(hits.distances).all()
    index.add(IDS[:1], VECTORS[:1])
    assert index.search(PROBES[:1], 2).references.tolist() == [[IDS[0], -1]]


@pytest.mark.parametrize("text", ALL_SPECS)
def test_building_from_nothing_and_searching_for_nothing(text: str) -> None:
    index = build(text, IDS[:0], VECTORS[:0])
    assert index.search(PROBES, 2).references.tolist() == [[-1, -1]] * 40
    assert index.search(PROBES[:0], 2).references.shape == (0, 2)
    index.add(IDS[:0], VECTORS[:0])
    assert index.remove(IDS[:0]) == 0
    assert index.exact_structure == parse_spec(text, 0).needs_training


@pytest.mark.parametrize("text", QUANTISED_SPECS)
def test_too_few_references_for_training_are_searched_exactly(text: str) -> None:
    least = parse_spec(text, 0).minimum_references
    few = build(text, IDS[: least - 1], VECTORS[: least - 1])
    assert few.exact_structure
    assert_exact(few.search(PROBES, 5), oracle(IDS[: least - 1], VECTORS[: least - 1]), PROBES)
    assert not build(text, IDS[:least], VECTORS[:least]).exact_structure


@pytest.mark.parametrize("said", [0, 10_000])
def test_a_wrong_count_changes_no_answer(said: int) -> None:
    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield IDS[:10], VECTORS[:10]

    index = FaissIndex.build(parse_spec("IVF16,Flat", 0), DIM, batches, said)
    assert index.exact_structure
    assert_exact(index.search(PROBES, 5), oracle(IDS[:10], VECTORS[:10]), PROBES)


def test_erasing_down_to_three_breaks_nothing() -> None:
    index = build("IVF16,PQ16x4fs", IDS, VECTORS)
    index.remove(IDS[3:])
    assert sorted(index.search(VECTORS[:1], 10).references[0].tolist()) == [-1] * 7 + sorted(IDS[:3].tolist())


def test_a_reference_in_two_batches_is_refused() -> None:
    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield IDS[:2], VECTORS[:2]
        yield IDS[1:3], VECTORS[1:3]

    with pytest.raises(ValueError, match=f"{IDS[1]} is in the index already"):
        FaissIndex.build(parse_spec("flat", 3), DIM, batches, 3)


def test_a_spec_that_does_not_suit_the_dimension_is_refused() -> None:
    with pytest.raises(UsageError, match="into 7 equal parts"):
        build("PQ7", IDS, VECTORS)


@pytest.mark.parametrize("text", ALL_SPECS)
def test_training_says_nothing_on_standard_error(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    build(text, IDS[:300], VECTORS[:300])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["HNSW32", "IVF16,PQ16", "PQ16x4fs"])
def test_building_twice_gives_the_same_bytes_on_one_thread(text: str) -> None:
    assert build(text, IDS, VECTORS).serialize() == build(text, IDS, VECTORS).serialize()


@pytest.mark.parametrize("text", ["HNSW32", "IVF16,PQ16x4fs"])
def test_threads_may_search_at_once(text: str) -> None:
    index = build(text, IDS, VECTORS)
    index.remove(IDS[:100])
    alone = index.search(PROBES, 20)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: index.search(PROBES, 20), range(12)))
    for hits in together:
        np.testing.assert_array_equal(hits.references, alone.references)
        np.testing.assert_array_equal(hits.distances, alone.distances)


def test_distances_that_rounding_leaves_below_zero_are_zero() -> None:
    # With a codebook that holds every vector exactly, FAISS's table sums are about -1e-11.
    vectors = np.repeat(people(12, seed=1), 50, axis=0)
    hits = build("IVF16,PQ16", ids(600), vectors).search(vectors[::7], 20)
    np.testing.assert_allclose(hits.distances, 0, atol=1e-3)


def test_a_structure_with_repeated_ids_is_refused() -> None:
    structure = exhaustive_structure(DIM)
    structure.add_with_ids(VECTORS[:2], np.array([4, 4], np.int64))
    with pytest.raises(IntegrityError, match="repeated or negative"):
        FaissIndex(parse_spec("flat", 2), [structure])


def test_a_structure_with_negative_ids_is_refused() -> None:
    structure = exhaustive_structure(DIM)
    structure.add_with_ids(VECTORS[:1], np.array([-1], np.int64))
    with pytest.raises(IntegrityError, match="repeated or negative"):
        FaissIndex(parse_spec("flat", 1), [structure])
