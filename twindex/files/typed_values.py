"""Values that anyone may have written into a JSON or TOML file, checked against the types that a dataclass declares.

A whole number may stand for a float, which must be finite; True is not a number; a list stands for a tuple.
"""

import json
import math
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

_LARGEST_EXACT = 2**53  # whole numbers up to here are floats without rounding
_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a finite number", "finite numbers"),
    str: ("a text", "texts"),
    bool: ("true or false", "values that are true or false"),
    type(None): ("nothing", "nothing"),
}


class WrongValueError(ValueError):
    """A value is not of the declared type, or a key is missing or unknown; the message says where."""


def decode_json(content: bytes) -> Any:
    """Decode a JSON file of any origin.

    Raises:
        ValueError: It is not JSON. NaN and Infinity, which Python would accept, are not JSON either.
    """
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_as(value: Any, kind: Any, name: str) -> Any:
    """A plain value as a type.

    Args:
        value: Anything.
        kind: A plain type, a dataclass, a dict or tuple with arguments, a Literal, a union of these, or Any.
        name: What messages call the value.

    Returns:
        The value: floats, tuples and dataclasses instead of whole numbers, lists and objects where these are declared.

    Raises:
        WrongValueError: It does not fit.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _read_object(value, kind, name)
    if origin is dict:
        return _read_dict(value, kind, name)
    if origin is tuple:
        return _read_tuple(value, kind, name)
    if origin is Literal:
        return _read_literal(value, kind, name)
    return _read_plain(value, kind, name) if origin is None else _read_union(value, kind, name)


def read_fields(values: dict[str, Any], kind: type, name: str, *, prefix: str = "") -> dict[str, Any]:
    """The fields of a dataclass from an object with exactly its keys.

    Args:
        values: By field name.
        kind: The dataclass.
        name: What messages call the object.
        prefix: What they put before a field's name.

    Raises:
        WrongValueError: A key is missing or unknown, or a value does not fit.
    """
    kinds = get_type_hints(kind)
    check_keys(values, set(kinds), name)
    return {field: read_as(values[field], kinds[field], f"{prefix}{field}") for field in kinds}


def check_fields(instance: Any) -> None:
    """Check that a dataclass instance holds what its class declares.

    Raises:
        WrongValueError: A field does not fit.
    """
    for field, kind in get_type_hints(type(instance)).items():
        read_as(getattr(instance, field), kind, field)


def check_keys(values: dict[str, Any], expected: set[str], name: str) -> None:
    """Check that an object has exactly these keys.

    Raises:
        WrongValueError: One is missing or unknown.
    """
    if set(values) != expected:
        wrong = ", ".join(sorted(map(repr, set(values) ^ expected)))
        raise WrongValueError(f"{name} has missing or unknown keys: {wrong:.200}")


def _read_object(value: Any, kind: Any, name: str) -> Any:
    if isinstance(value, kind):
        return value
    if type(value) is not dict:
        raise _misfit(value, kind, name)
    return kind(**read_fields(value, kind, name, prefix=f"{name}."))


def _read_dict(value: Any, kind: Any, name: str) -> dict[Any, Any]:
    if type(value) is not dict:
        raise _misfit(value, kind, name)
    keys, items = get_args(kind)
    return {
        read_as(key, keys, f"a key of {name}"): read_as(item, items, f"{name}[{key!r:.80}]")
        for key, item in value.items()
    }


def _read_tuple(value: Any, kind: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _misfit(value, kind, name)
    arguments = get_args(kind)
    kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
    if len(value) != len(kinds):
        raise _misfit(value, kind, name)
    return tuple(read_as(value[place], kinds[place], f"{name}[{place}]") for place in range(len(value)))


def _read_literal(value: Any, kind: Any, name: str) -> Any:
    for allowed in get_args(kind):
        if type(value) is type(allowed) and value == allowed:
            return value
    raise _misfit(value, kind, name)


def _read_union(value: Any, kind: Any, name: str) -> Any:
    for alternative in get_args(kind):
        with suppress(WrongValueError):
            return read_as(value, alternative, name)
    raise _misfit(value, kind, name)


def _read_plain(value: Any, kind: Any, name: str) -> Any:
    if kind is float and type(value) is int and abs(value) <= _LARGEST_EXACT:
        return float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _misfit(value, kind, name)
    return value


def _misfit(value: Any, kind: Any, name: str) -> WrongValueError:
    return WrongValueError(f"expected {name} to be {_described(kind)}, got {value!r:.80}")


def _described(kind: Any, *, many: bool = False) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind][many]
    if origin is Literal:
        return f"one of {arguments}"
    if origin is tuple:
        count = "" if arguments[-1] is ... else f"{len(arguments)} "
        return f"{'lists' if many else 'a list'} of {count}{_described(arguments[0], many=True)}"
    if origin is dict or is_dataclass(kind):
        of = f" of {_described(arguments[1], many=True)}" if arguments and arguments[1] is not Any else ""
        return f"{'objects' if many else 'an object'}{of}"
    return " or ".join(_described(alternative, many=many) for alternative in arguments)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
