"""Column types that SQLite does not have: UTC times, and paths that need not be valid Unicode."""

from datetime import UTC, datetime

from sqlalchemy import Dialect, LargeBinary, String
from sqlalchemy.types import TypeDecorator

from twindex.errors import IntegrityError


def utc_text(time: datetime) -> str:
    """A time in its stored form: ISO 8601 in UTC with microseconds, so that texts sort as times do.

    Raises:
        ValueError: The time has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"Expected a time with a time zone, got {time!r}; use datetime.now(UTC).")
    return time.astimezone(UTC).isoformat(timespec="microseconds")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as `utc_text` writes it."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        try:
            time = datetime.fromisoformat(value)
            if time.tzinfo is None:
                raise ValueError("no time zone")
        except (TypeError, ValueError) as error:
            raise IntegrityError(
                f"The database holds the time {value!r}, expected ISO 8601 in UTC: it is damaged; restore a backup."
            ) from error
        return time


class AnyText(TypeDecorator[str]):
    """Any Python string, stored as UTF-8 bytes; each lone surrogate is encoded as three bytes.

    Python represents a file name that is not valid Unicode with lone surrogates. SQLite's TEXT would refuse it, but a
    job must be able to open the same file again.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.decode("utf-8", "surrogatepass")
