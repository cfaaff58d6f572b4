"""Consent and expiry as people write them."""

from datetime import UTC, datetime

import pytest

from twindex.errors import UsageError
from twindex.storage.values.terms import NO_TERMS, Terms, parse_terms

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-02", datetime(2026, 5, 2, tzinfo=UTC)),
        (" 2030-12-31 ", datetime(2030, 12, 31, tzinfo=UTC)),
        ("2026-05-01T12:30", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-01T12:30Z", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-02T01:00+02:00", datetime(2026, 5, 1, 23, tzinfo=UTC)),
    ],
)
def test_a_date_is_its_first_moment_in_utc(text: str, moment: datetime) -> None:
    assert parse_terms(None, text, NOW) == Terms(None, moment)


@pytest.mark.parametrize("text", ["tomorrow", "31.12.2030", "2030-13-01", "2030-02-30"])
def test_a_text_that_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a date: expected a form such as 2030-12-31"):
        parse_terms(None, text, NOW)


@pytest.mark.parametrize("text", ["2026-05-01", "2026-05-01T12:00Z", "1999-01-01"])
def test_an_expiry_must_be_in_the_future(text: str) -> None:
    with pytest.raises(UsageError, match="has already passed"):
        parse_terms(None, text, NOW)


def test_without_values_there_are_no_terms() -> None:
    assert parse_terms(None, None, NOW) == parse_terms(" ", "", NOW) == NO_TERMS
    assert not NO_TERMS.given
    assert Terms("form 1").given


def test_equal_consents_are_stored_alike() -> None:
    assert parse_terms(" Formula\u0301rio 17 ", None, NOW).consent == "Formul\u00e1rio 17"
    for text in ("x" * 501, "\udce9"):
        with pytest.raises(UsageError, match="A reference to a consent is a text of 1 to 500 characters"):
            parse_terms(text, None, NOW)


def test_terms_expire_at_the_exact_time() -> None:
    terms = Terms(expires=NOW)
    assert not terms.expired(datetime(2026, 5, 1, 11, 59, 59, 999999, tzinfo=UTC))
    assert terms.expired(NOW)
    assert not NO_TERMS.expired(NOW)
    with pytest.raises(ValueError, match="Expected a time with a time zone"):
        Terms(expires=datetime(2030, 1, 1))  # noqa: DTZ001 - the very thing that is refused
