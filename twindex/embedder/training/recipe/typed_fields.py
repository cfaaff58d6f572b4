"""Whether the fields of a dataclass hold what it declares: a recipe file may hold anything."""

import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

from twindex.errors import UsageError


def refuse_wrong_kinds(values: Any, what: str) -> None:
    """Refuse a field of another kind than declared.

    A whole number may stand for a float, which must be finite; True is no number; a list may stand for a tuple.

    Args:
        values: A dataclass instance.
        what: What messages call it.

    Raises:
        UsageError: A field is of another kind.
    """
    for name, kind in get_type_hints(type(values)).items():
        value = getattr(values, name)
        if not _fits(value, kind):
            raise UsageError(f"{what} has {name} = {value!r}, which is not {_described(kind)}.")


def _fits(value: Any, kind: Any) -> bool:
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return value in arguments
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(
            _fits(key, arguments[0]) and _fits(one, arguments[1]) for key, one in value.items()
        )
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            return False
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if arguments:  # alternatives
        return any(_fits(value, one) for one in arguments)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _described(kind: Any) -> str:
    names = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {arguments}"
    if get_origin(kind) is dict:
        return f"a table of {_described(arguments[1]).removeprefix('a ')}s"
    if get_origin(kind) is tuple:
        count = "any number" if arguments[-1] is ... else str(len(arguments))
        return f"a list of {count} of: {_described(arguments[0]).removeprefix('a ')}"
    if arguments:
        return " or ".join(_described(one) for one in arguments if one is not type(None))
    return names[kind] if kind in names else str(kind.__name__)
