"""Bytes to index: even what FAISS reads without an error is checked."""

from collections.abc import Callable

import faiss
import numpy as np
import pytest

from tests.index.galleries import ALL_SPECS, DIM, build, ids, people
from twindex.errors import IntegrityError
from twindex.index.faiss_index import FaissIndex
from twindex.index.spec import parse_spec

VECTORS = people(400, seed=1)
IDS = ids(400)


def _identified(bare: faiss.Index, count: int = 4) -> faiss.Index:
    structure = faiss.IndexIDMap(bare)
    structure.add_with_ids(people(count, seed=1)[:, : bare.d].copy(), np.arange(count))
    return structure


def _relabelled(labels: list[int]) -> faiss.Index:
    structure = _identified(faiss.IndexFlatL2(DIM))
    faiss.copy_array_to_vector(np.array(labels, np.int64), structure.id_map)
    return structure


@pytest.mark.parametrize("text", ALL_SPECS)
def test_a_structure_read_back_gives_the_same_answers(text: str) -> None:
    index = build(text, IDS, VECTORS)
    index.remove(IDS[:70])
    copy = FaissIndex.deserialize(index.spec, index.serialize(), DIM, 330)
    probes = people(30, seed=2)
    hits, expected = copy.search(probes, 50), index.search(probes, 50)
    np.testing.assert_array_equal(hits.references, expected.references)
    np.testing.assert_array_equal(hits.distances, expected.distances)
    np.testing.assert_array_equal(copy.references(), index.references())
    assert (copy.stale_share, copy.exact_structure) == (index.stale_share, index.exact_structure)
    copy.add(IDS[:70], VECTORS[:70])
    assert copy.count == 400
    assert index.count == 330


@pytest.mark.parametrize("text", ["IVF16,Flat", "PQ16", "SQ8", "PCA24,Flat"])
def test_the_exact_stand_in_is_accepted(text: str) -> None:
    index = build(text, IDS[:3], VECTORS[:3])
    assert FaissIndex.deserialize(index.spec, index.serialize(), DIM, 3).exact_structure


def _untrained() -> faiss.Index:
    structure = _identified(faiss.IndexFlatL2(DIM))
    structure.index.is_trained = False
    return structure


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("is not a", lambda: _identified(faiss.IndexFlatL2(DIM - 1))),
        ("is not a", lambda: _identified(faiss.IndexFlatIP(DIM))),
        ("is not a", lambda: faiss.IndexFlatL2(DIM)),
        ("is not a", lambda: _identified(faiss.IndexHNSWFlat(DIM, 16))),
        ("parts of the stored index hold different numbers", _untrained),
        ("repeated or negative", lambda: _relabelled([1, 2, 3, 1])),
        ("repeated or negative", lambda: _relabelled([1, 2, -1, 3])),
        ("holds 5 references, expected 4", lambda: _identified(faiss.IndexFlatL2(DIM), 5)),
    ],
)
def test_another_structure_is_refused(reason: str, make: Callable[[], faiss.Index]) -> None:
    data = faiss.serialize_index(make()).tobytes()
    with pytest.raises(IntegrityError, match=reason):
        FaissIndex.deserialize(parse_spec("flat", 4), data, DIM, 4)


@pytest.mark.parametrize(("text", "other"), [("IVF16,Flat", "IVF8,Flat"), ("HNSW32", "Flat"), ("Flat", "HNSW32")])
def test_a_structure_of_another_spec_is_refused(text: str, other: str) -> None:
    data = build(other, IDS, VECTORS).serialize()
    with pytest.raises(IntegrityError, match=f'is not a "{text}"'):
        FaissIndex.deserialize(parse_spec(text, 400), data, DIM, 400)


@pytest.mark.parametrize("text", ALL_SPECS)
def test_truncated_bytes_are_refused(text: str) -> None:
    index = build(text, IDS, VECTORS)
    data = index.serialize()
    for length in (0, 3, 40, len(data) // 2, len(data) - 1):
        with pytest.raises(IntegrityError, match=r"FAISS failed while reading an index: .* `twindex compact`"):
            FaissIndex.deserialize(index.spec, data[:length], DIM, 400)


def test_a_length_beyond_the_file_is_refused_before_reading() -> None:
    data = bytearray(build("Flat", IDS, VECTORS).serialize())
    # The floats are preceded by their number; claim a gigabyte.
    place = data.index((400 * DIM).to_bytes(8, "little"))
    data[place : place + 8] = (2**28).to_bytes(8, "little")
    with pytest.raises(IntegrityError, match=r"reading an index.*deserialization_vector_byte_limit"):
        FaissIndex.deserialize(parse_spec("flat", 400), bytes(data), DIM, 400)


def test_the_byte_limit_of_the_process_is_restored() -> None:
    before = faiss.get_deserialization_vector_byte_limit()
    index = build("IVF16,PQ16", IDS, VECTORS)
    FaissIndex.deserialize(index.spec, index.serialize(), DIM, 400)
    with pytest.raises(IntegrityError, match="FAISS failed"):
        FaissIndex.deserialize(index.spec, b"", DIM, 400)
    assert faiss.get_deserialization_vector_byte_limit() == before
