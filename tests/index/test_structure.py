import faiss
import numpy as np
import pytest

from tests.index.galleries import ALL_SPECS, DIM, people
from twindex.index.spec import parse_spec
from twindex.index.structure import describe, empty_structure, exhaustive_structure, parts, stored_ids, train


def test_graphs_are_built_broadly() -> None:
    assert parts(empty_structure(parse_spec("HNSW16", 0), DIM))[-1].hnsw.efConstruction == 200


@pytest.mark.parametrize(("text", "visited"), [("IVF16,Flat", 16), ("PCA8,IVF800,SQ8", 100)])
def test_a_search_visits_as_many_cells_as_the_spec_says(text: str, visited: int) -> None:
    assert faiss.extract_index_ivf(empty_structure(parse_spec(text, 0), DIM)).nprobe == visited


def test_a_description_names_every_part() -> None:
    assert describe(empty_structure(parse_spec("PCA8,IVF4,PQ4", 0), DIM)) == (
        ("IndexPreTransform", DIM, faiss.METRIC_L2, 0),
        ("IndexIVFPQ", 8, faiss.METRIC_L2, 4),
    )
    assert describe(empty_structure(parse_spec("Flat", 0), DIM)) == describe(exhaustive_structure(DIM))


@pytest.mark.parametrize("text", ALL_SPECS)
def test_ids_are_listed_wherever_they_are_stored(text: str) -> None:
    structure = empty_structure(parse_spec(text, 0), DIM)
    assert stored_ids(structure).tolist() == []
    vectors = people(300, seed=1)
    train(structure, vectors)
    structure.add_with_ids(vectors[:9], np.arange(9) + 2**50)
    assert sorted(stored_ids(structure).tolist()) == [2**50 + number for number in range(9)]


def test_a_rotation_keeps_nothing_it_does_not_own() -> None:
    structure = empty_structure(parse_spec("OPQ16,PQ16x4fs", 0), DIM)
    train(structure, people(300, seed=1))
    rotation = faiss.downcast_VectorTransform(parts(structure)[1].chain.at(0))
    assert rotation.is_trained
    assert rotation.pq is None
