"""Arguments that every index refuses without changing anything."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.index.galleries import DIM, build, ids, oracle, people
from twindex.index.protocol import VectorIndex

VECTORS = people(20, seed=1)
IDS = ids(20)


@pytest.fixture(params=["oracle", "Flat", "HNSW32", "IVF16,Flat"])
def index(request: pytest.FixtureRequest) -> VectorIndex:
    return oracle(IDS, VECTORS) if request.param == "oracle" else build(request.param, IDS, VECTORS)


def _with(value: float) -> np.ndarray:
    vectors = people(2, seed=2)
    vectors[1, 3] = value
    return vectors


NEW = np.array([1, 2], np.int64)
REFUSED: list[tuple[str, np.ndarray, np.ndarray]] = [
    ("row 1 holds NaN or infinity", NEW, _with(np.nan)),
    ("row 1 holds NaN or infinity", NEW, _with(np.inf)),
    ("must be float32, got float64", NEW, people(2, seed=2).astype(np.float64)),
    (rf"shape \(n, {DIM}\), got \(2, 5\)", NEW, np.zeros((2, 5), np.float32)),
    (rf"shape \(n, {DIM}\), got \({DIM},\)", NEW[:1], np.zeros(DIM, np.float32)),
    ("got 2 references for 3 vectors", NEW, people(3, seed=2)),
    ("must be an int64 array of shape", NEW.astype(np.int32), people(2, seed=2)),
    ("must be an int64 array of shape", NEW[:, None], people(2, seed=2)),
    ("must not be negative, got -1", np.array([1, -1], np.int64), people(2, seed=2)),
    ("7 is given more than once", np.array([7, 7], np.int64), people(2, seed=2)),
    (f"{IDS[3]} is in the index already", np.array([1, IDS[3]], np.int64), people(2, seed=2)),
]


@pytest.mark.parametrize(("reason", "references", "vectors"), REFUSED)
def test_add_refuses_and_adds_nothing(
    index: VectorIndex, reason: str, references: np.ndarray, vectors: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=reason):
        index.add(references, vectors)
    assert index.count == 20
    assert not index.contains(NEW).any()


@pytest.mark.parametrize(
    ("reason", "ask"),
    [
        ("k of at least 1, got 0", lambda index: index.search(VECTORS, 0)),
        ("row 1 holds NaN", lambda index: index.search(_with(np.nan), 1)),
        ("must be float32", lambda index: index.search(VECTORS.astype(np.float16), 1)),
        (r"shape \(n, 32\)", lambda index: index.search(VECTORS[:, :31], 1)),
        ("must be an int64 array", lambda index: index.remove(np.array([1.0]))),
        ("must be an int64 array", lambda index: index.contains(np.array([[1]], np.int64))),
    ],
)
def test_malformed_searches_are_refused(index: VectorIndex, reason: str, ask: Callable[[VectorIndex], object]) -> None:
    with pytest.raises(ValueError, match=reason):
        ask(index)


def test_arrays_in_any_layout_are_accepted(index: VectorIndex) -> None:
    wide = np.repeat(people(3, seed=5), 2, axis=1)
    wide.flags.writeable = False
    index.add(np.arange(6, dtype=np.int64)[::2], wide[:, ::2])
    assert index.search(wide[:, ::2], 1).references.tolist() == [[0], [2], [4]]
