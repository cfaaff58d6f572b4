"""Plain values of any origin, read as declared types or refused with a message that says where they are wrong."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from twindex.files.typed_values import WrongValueError, check_fields, decode_json, read_as, read_fields


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True)
class Shape:
    name: str
    corners: tuple[Point, ...]
    size: tuple[int, int]
    weights: dict[str, float]
    kind: Literal["open", "closed"] = "open"
    note: str | None = None


SHAPE = {
    "name": "a",
    "corners": [{"x": 1, "y": 2.5}],
    "size": [3, 4],
    "weights": {"left": 1},
    "kind": "closed",
    "note": None,
}


def test_nested_values_become_what_is_declared() -> None:
    shape = read_as(SHAPE, Shape, "shape")
    assert shape == Shape("a", (Point(1.0, 2.5),), (3, 4), {"left": 1.0}, "closed", None)
    assert type(shape.corners[0].x) is type(shape.weights["left"]) is float


def test_fields_are_named_without_the_object_that_holds_them() -> None:
    with pytest.raises(WrongValueError, match=r"^expected corners\[0\].x to be a finite number, got 'far'$"):
        read_fields({**SHAPE, "corners": [{"x": "far", "y": 0}]}, Shape, "the shape")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": 5}, "expected shape.name to be a text, got 5"),
        ({"corners": {}}, "expected shape.corners to be a list of objects, got {}"),
        ({"corners": [[1, 2]]}, r"expected shape.corners\[0\] to be an object, got \[1, 2\]"),
        ({"corners": [{"x": 1}]}, r"shape.corners\[0\] has missing or unknown keys: 'y'"),
        ({"corners": [{"x": 1, "y": True}]}, r"expected shape.corners\[0\].y to be a finite number, got True"),
        ({"corners": [{"x": 1, "y": math.inf}]}, r"expected shape.corners\[0\].y to be a finite number, got inf"),
        ({"corners": [{"x": 1, "y": 2**53 + 1}]}, r"expected shape.corners\[0\].y to be a finite number"),
        ({"size": [3]}, r"expected shape.size to be a list of 2 whole numbers, got \[3\]"),
        ({"size": [3, 4.0]}, r"expected shape.size\[1\] to be a whole number, got 4.0"),
        ({"weights": [1]}, r"expected shape.weights to be an object of finite numbers, got \[1\]"),
        ({"weights": {"a\x1b": "b"}}, r"expected shape.weights\['a\\x1b'\] to be a finite number, got 'b'"),
        ({"weights": {1: 1.0}}, "expected a key of shape.weights to be a text, got 1"),
        ({"kind": "round"}, r"expected shape.kind to be one of \('open', 'closed'\), got 'round'"),
        ({"kind": ["open"]}, r"expected shape.kind to be one of .*, got \['open'\]"),
        ({"note": 1}, "expected shape.note to be a text or nothing, got 1"),
        ({"more": 1}, "shape has missing or unknown keys: 'more'"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrongValueError, match=f"^{reason}"):
        read_as({**SHAPE, **change}, Shape, "shape")


def test_an_instance_is_checked_field_by_field() -> None:
    check_fields(Shape("a", (Point(1, 2),), (3, 4), {}))
    with pytest.raises(WrongValueError, match="expected corners to be a list of objects, got 'none'"):
        check_fields(Shape("a", "none", (3, 4), {}))  # type: ignore[arg-type]


def test_true_is_not_one_of_some_numbers() -> None:
    assert read_as(1, Literal[0, 1], "level") == 1
    with pytest.raises(WrongValueError, match=r"expected level to be one of \(0, 1\), got True"):
        read_as(True, Literal[0, 1], "level")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"nul", "Expecting value"),
        (b'{"x": NaN}', "NaN is not a JSON number"),
        (b"-Infinity", "-Infinity is not a JSON number"),
        (b"\xff", "can't decode byte"),
        (b"[" * 100_000, "nested too deeply|Expecting value"),
    ],
)
def test_what_is_not_json_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_json(content)


def test_json_is_decoded() -> None:
    assert decode_json(b'{"x": [1, 2.5, null, "a"]}') == {"x": [1, 2.5, None, "a"]}
