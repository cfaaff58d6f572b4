"""Intervals of error rates."""

from twindex.evaluation.metrics.beta import beta_quantile

Interval = tuple[float, float]
_COVERAGE = 0.95  # of the intervals


def binomial_interval(events: int, attempts: int) -> Interval:
    """Confidence interval of a rate (Clopper and Pearson 1934), with a coverage of at least 95 %.

    Args:
        events: How often it happened.
        attempts: How often it could have happened.

    Returns:
        Lowest and highest rate.

    Raises:
        ValueError: There are no attempts, or more events than attempts.
    """
    if not 0 <= events <= attempts or attempts == 0:
        raise ValueError(f"Expected from 0 to {attempts} events and at least one attempt, got {events}.")
    tail = (1 - _COVERAGE) / 2
    low = 0.0 if events == 0 else beta_quantile(tail, events, attempts - events + 1)
    high = 1.0 if events == attempts else beta_quantile(1 - tail, events + 1, attempts - events)
    return low, high


def rate_interval(rate: float, attempts: int) -> Interval:
    """`binomial_interval` for a rate measured on a number of attempts."""
    return binomial_interval(round(rate * attempts), attempts)
