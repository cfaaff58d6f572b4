"""The terms under which a reference is held: the person's consent, and when the reference expires."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from twindex.errors import UsageError

MAX_CONSENT_LENGTH = 500


@dataclass(frozen=True)
class Terms:
    """What was agreed about a reference.

    Attributes:
        consent: Where the consent is documented, in words for people; None if not given.
        expires: When queries stop finding the reference and a purge erases it; None for never.
    """

    consent: str | None = None
    expires: datetime | None = None

    def __post_init__(self) -> None:
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError(f"Expected a time with a time zone, got {self.expires!r}; see `parse_expiry`.")

    @property
    def given(self) -> bool:
        return self != NO_TERMS

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


NO_TERMS = Terms()


def parse_terms(consent: str | None, expires: str | None, now: datetime) -> Terms:
    """Terms as people write them; an empty text counts as not given.

    Raises:
        UsageError: The consent is too long or cannot be stored, or the expiry is not a date or has passed.
    """
    return Terms(
        parse_consent(consent) if consent and consent.strip() else None,
        parse_expiry(expires, now) if expires and expires.strip() else None,
    )


def parse_consent(text: str) -> str:
    """A reference to a consent in its stored form.

    Raises:
        UsageError: The text is too long, or not valid Unicode.
    """
    normal = unicodedata.normalize("NFC", text.strip())
    if not normal or len(normal) > MAX_CONSENT_LENGTH or not _encodable(normal):
        raise UsageError(
            f"A reference to a consent is a text of 1 to {MAX_CONSENT_LENGTH} characters, got {len(normal)}; name the "
            "form or the file that documents it."
        )
    return normal


def parse_expiry(text: str, now: datetime) -> datetime:
    """When a reference expires. A date means its first moment in UTC; a time without a zone is in UTC.

    Raises:
        UsageError: The text is not an ISO 8601 date or time, or not in the future.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a date: expected a form such as 2030-12-31 or 2030-12-31T18:00Z.") from error
    if moment <= now:
        raise UsageError(f"The expiry {text!r} has already passed (it is {now:%Y-%m-%d %H:%M} UTC); give a later date.")
    return moment


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
