"""Quantiles of the Beta distribution, by which intervals of rates are computed."""

import math
from itertools import count

_PRECISION = 1e-15
_LARGE = 20  # from here on four terms of Stirling's series give the logarithm of the gamma function


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The value that a Beta(a, b) variable stays below with the given probability.

    Newton's method on the distribution function, kept inside a bracket that shrinks at every step.

    Args:
        probability: Between 0 and 1, both excluded.
        a, b: Shape of the distribution, at least 1 each.

    Raises:
        ValueError: An argument is out of range.
    """
    if not 0 < probability < 1 or not a >= 1 or not b >= 1:
        raise ValueError(f"Expected a probability between 0 and 1 and shapes from 1, got {probability}, {a} and {b}.")
    low, high, x = 0.0, 1.0, a / (a + b)
    while high - low > _PRECISION * high:
        excess = _distribution(x, a, b) - probability
        low, high = (low, x) if excess > 0 else (x, high)
        density = math.exp(_log_density(x, a, b))
        following = x - excess / density if density > 0 else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= _PRECISION * x:
            return following
        x = following
    return x


def _log_density(x: float, a: float, b: float) -> float:
    return (a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - _log_beta(a, b)


def _distribution(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) (DLMF 8.17), for x inside (0, 1)."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _lower_tail(1 - x, math.log1p(-x), math.log(x), b, a)
    return _lower_tail(x, math.log(x), math.log1p(-x), a, b)


def _lower_tail(x: float, log_x: float, log_rest: float, a: float, b: float) -> float:
    """I_x(a, b) by the continued fraction DLMF 8.17.22, which converges fast below the mean.

    Evaluated from the front (Lentz 1976), so that the number of terms need not be chosen. The caller passes the
    logarithms of x and 1 - x, because one of them would be inexact if computed here.
    """
    front = math.exp(a * log_x + b * log_rest - _log_beta(a, b)) / a
    upper, lower = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = lower
    for m in count(1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            lower = 1 / (1 + term * lower)
            upper = 1 + term / upper
            value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return front * value


def _log_beta(a: float, b: float) -> float:
    """Logarithm of the beta function, without the cancellation that two large gamma functions would bring."""
    small, large = min(a, b), max(a, b)
    if large < _LARGE:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    total = small + large
    rest = small - small * math.log(large) - (total - 0.5) * math.log1p(small / large)
    return math.lgamma(small) + rest + _stirling_rest(large) - _stirling_rest(total)


def _stirling_rest(z: float) -> float:
    """What Stirling's formula for the logarithm of the gamma function leaves over (DLMF 5.11.1)."""
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * z * z)) / (z * z)) / (z * z)) / z
