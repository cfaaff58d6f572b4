"""The index "auto": exact for small galleries, quantised for larger ones, within the allowed memory."""

import pytest

from twindex.errors import UsageError
from twindex.index.choice import EXACT_UP_TO, auto_spec, chosen_spec, is_auto, shortage
from twindex.index.spec import parse_spec


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("auto", 0, "Flat"),
        ("AUTO", EXACT_UP_TO, "Flat"),
        ("auto", EXACT_UP_TO + 1, "PCAR128,PQ64x4fs"),
        ("auto", 10_000_000, "PCAR128,PQ64x4fs"),
        # With an id stored twice, 128 floats take 528 bytes, 64 half bytes take 48, and 32 half bytes take 32.
        ("auto,6MB", 10_000, "Flat"),
        ("auto,5MB", 10_000, "PCAR128,PQ64x4fs"),
        ("auto, 48 MB", 1_000_000, "PCAR128,PQ64x4fs"),
        ("auto,47MB", 1_000_000, "PCAR128,PQ32x4fs"),
        ("auto,32MB", 1_000_000, "PCAR128,PQ32x4fs"),
        ("flat", 10_000_000, "Flat"),
        ("PQ16", 5, "PQ16"),
    ],
)
def test_the_rule_chooses_by_size_and_memory(text: str, count: int, expected: str) -> None:
    assert chosen_spec(text, count, 128) == parse_spec(expected, count)


@pytest.mark.parametrize(
    ("dim", "expected"), [(10, "PCAR10,PQ5x4fs"), (2, "PCAR2,PQ1x4fs"), (7, "Flat"), (1024, "PCAR1024,PQ256x4fs")]
)
def test_every_length_of_template_has_a_choice(dim: int, expected: str) -> None:
    spec = chosen_spec("auto", EXACT_UP_TO + 1, dim)
    assert spec.text == expected
    spec.check_dim(dim)


def test_a_gallery_beyond_its_memory_limit_gets_the_smallest_index_and_a_message() -> None:
    assert chosen_spec("auto,31MB", 1_000_000, 128).text == "PCAR128,PQ32x4fs"
    assert shortage("auto,31MB", 1_000_000, 128) == (
        "1000000 references need at least 32 MB for an index, 31 MB were allowed."
    )
    assert shortage("auto,32MB", 1_000_000, 128) == shortage("auto", 10**9, 128) == shortage("Flat", 10**9, 128) == ""


def test_the_commands_spec_is_read_as_meant() -> None:
    assert [auto_spec("Auto"), auto_spec("auto", 64), auto_spec("auto, 64 mb"), auto_spec("auto,64MB", 32)] == [
        "auto",
        "auto,64MB",
        "auto,64MB",
        "auto,32MB",
    ]
    assert all(map(is_auto, ["auto", "auto,64MB", "Auto, 64 mb"]))
    assert not any(map(is_auto, ["flat", "auto64", "auto,MB", ""]))
    with pytest.raises(UsageError, match="not an index"):
        chosen_spec("auto,", 5, 128)
