"""Whether the fields of a recipe hold what they declare: a recipe file may hold anything."""

from typing import Any

from twindex.errors import UsageError
from twindex.files.typed_values import WrongValueError, check_fields


def refuse_wrong_kinds(values: Any, what: str) -> None:
    """Refuse a field of another type than declared, see `typed_values`.

    Args:
        values: A dataclass instance.
        what: What messages call it.

    Raises:
        UsageError: A field is of another type.
    """
    try:
        check_fields(values)
    except WrongValueError as error:
        raise UsageError(f"{what}: {error}.") from error
