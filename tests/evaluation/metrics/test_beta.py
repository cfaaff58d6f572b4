"""Quantiles of the Beta distribution against SciPy's and against closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from twindex.evaluation.metrics.beta import beta_quantile

SHAPES = st.one_of(st.floats(1, 50), st.floats(1, 1e6), st.integers(1, 1_000_000))


@given(st.floats(1e-6, 1 - 1e-6), SHAPES, SHAPES)
def test_quantiles_are_scipy_s(probability: float, a: float, b: float) -> None:
    assert beta_quantile(probability, a, b) == pytest.approx(float(beta.ppf(probability, a, b)), rel=1e-9)


@pytest.mark.parametrize("probability", [1e-9, 0.025, 0.5, 0.975])
@pytest.mark.parametrize("shape", [1, 2, 19.5, 20, 1_000, 1e8])
def test_quantiles_where_one_shape_is_1_have_a_closed_form(probability: float, shape: float) -> None:
    assert beta_quantile(probability, 1, shape) == pytest.approx(
        -math.expm1(math.log1p(-probability) / shape), rel=1e-7
    )
    assert beta_quantile(probability, shape, 1) == pytest.approx(probability ** (1 / shape), rel=1e-12)


@pytest.mark.parametrize("shape", [1, 7, 12_345, 5e8])
def test_half_of_a_symmetric_distribution_is_below_one_half(shape: float) -> None:
    assert beta_quantile(0.5, shape, shape) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, 1, 1), (math.nan, 1, 1), (0.5, 0.9, 1), (0.5, 1, math.nan)])
def test_what_is_out_of_range_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="Expected a probability between 0 and 1 and shapes from 1"):
        beta_quantile(*arguments)
