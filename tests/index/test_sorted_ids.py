import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.index.sorted_ids import frozen_ids, member, united, without

SETS = st.sets(st.integers(0, 30) | st.integers(2**62, 2**63 - 1))


def _ascending(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), np.int64)


@given(SETS, SETS)
def test_the_functions_are_those_of_sets(left: set[int], right: set[int]) -> None:
    asked = np.array([*right, *left], np.int64)
    assert member(_ascending(left), asked).tolist() == [value in left for value in asked.tolist()]
    added = np.array(list(right - left), np.int64)
    assert united(_ascending(left), added).tolist() == sorted(left | right)
    assert without(_ascending(left), _ascending(right)).tolist() == sorted(left - right)


def test_results_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        frozen_ids(np.zeros(1, np.int64))[0] = 1
