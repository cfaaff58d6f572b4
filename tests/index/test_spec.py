import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.errors import UsageError
from twindex.index.spec import EXAMPLES, IndexSpec, parse_spec, suggested_cells


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flat", IndexSpec("Flat")),
        ("FLAT", IndexSpec("Flat")),
        ("Hnsw", IndexSpec("HNSW32", links=32)),
        ("hnsw16,flat", IndexSpec("HNSW16", links=16)),
        ("sq8", IndexSpec("SQ8", scalar=True)),
        ("PQ", IndexSpec("PQ16", segments=16, codewords=256)),
        ("pq16X4FS", IndexSpec("PQ16x4fs", segments=16, codewords=16)),
        ("ivf64, flat", IndexSpec("IVF64,Flat", cells=64)),
        ("IVF064,Flat", IndexSpec("IVF64,Flat", cells=64)),
        ("ivf64,sq8", IndexSpec("IVF64,SQ8", cells=64, scalar=True)),
        ("IVF64,PQ8", IndexSpec("IVF64,PQ8", cells=64, segments=8, codewords=256)),
        ("IVF8,PQ8x4fs", IndexSpec("IVF8,PQ8x4fs", cells=8, segments=8, codewords=16)),
        ("opq8,pq8", IndexSpec("OPQ8,PQ8", segments=8, codewords=256, rotated_segments=8)),
        (
            "opq8_64,ivf16,pq8x4fs",
            IndexSpec("OPQ8_64,IVF16,PQ8x4fs", cells=16, segments=8, codewords=16, rotated_segments=8, reduced_dim=64),
        ),
        ("pca64,flat", IndexSpec("PCA64,Flat", reduced_dim=64)),
        ("pcar64,ivf4,flat", IndexSpec("PCAR64,IVF4,Flat", cells=4, reduced_dim=64)),
    ],
)
def test_reads_aliases_and_factory_strings_in_any_case(text: str, expected: IndexSpec) -> None:
    assert parse_spec(text, count=1000) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "IVF64",
        "IVF64,HNSW32",
        "OPQ8,HNSW32",
        "IDMap2,Flat",
        "Flat,Flat",
        "PQ16x8",
        "LSH",
        "HNSW32,SQ8",
        "IVF-4,Flat",
        "PQ16x4fs,RFlat",
        "../Flat",
    ],
)
def test_an_unknown_index_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match=f'"{text}" is not an index.* expected one like {EXAMPLES}'):
        parse_spec(text, count=10)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("IVF0,Flat", "0 is out of range: expected 1 to 65536"),
        ("IVF65537,Flat", "65537 is out of range"),
        ("PQ0", "0 is out of range: expected 1 to 256"),
        ("HNSW3", "3 is out of range: expected 4 to 128"),
        ("PCA0,Flat", "0 is out of range: expected 1 to 4096"),
        ("OPQ300,PQ16", "300 is out of range"),
        ("IVF" + "9" * 9000 + ",Flat", "999999999999 is out of range"),
    ],
)
def test_refuses_numbers_out_of_range(text: str, bounds: str) -> None:
    with pytest.raises(UsageError, match=bounds):
        parse_spec(text, count=10)


@given(st.text(alphabet="ivfhnswpqsopca0123456789,_x4flat8r ", max_size=20))
def test_a_parsed_spec_parses_to_itself(text: str) -> None:
    try:
        spec = parse_spec(text, count=5000)
    except UsageError:
        return
    assert parse_spec(spec.text, count=5000) == spec


@pytest.mark.parametrize(
    ("count", "cells"), [(0, 1), (38, 1), (78, 2), (1000, 25), (10_000, 256), (40_000, 800), (1_000_000, 4000)]
)
def test_ivf_has_about_four_cells_a_root_and_39_references_a_cell(count: int, cells: int) -> None:
    assert suggested_cells(count) == cells
    assert parse_spec("ivf", count).text == f"IVF{cells},Flat"


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("Flat", 0),
        ("HNSW32", 0),
        ("IVF64,Flat", 64),
        ("SQ8", 256),
        ("PQ16", 256),
        ("PQ16x4fs", 16),
        ("IVF300,PQ16", 300),
        ("IVF20,PQ16x4fs", 20),
        ("OPQ8,PQ8x4fs", 256),
        ("PCA100,Flat", 100),
    ],
)
def test_the_minimum_is_what_training_needs(text: str, least: int) -> None:
    spec = parse_spec(text, count=0)
    assert spec.minimum_references == least
    assert spec.needs_training == (least > 0)


@pytest.mark.parametrize(
    ("text", "points"),
    [("SQ8", 65_536), ("IVF1000,Flat", 256_000), ("IVF4096,Flat", 524_288), ("IVF65536,SQ8", 2_555_904)],
)
def test_training_sample_is_bounded(text: str, points: int) -> None:
    assert parse_spec(text, count=0).training_points == points


@pytest.mark.parametrize(("cells", "probed"), [(1, 1), (64, 64), (65, 64), (512, 64), (800, 100), (4096, 512)])
def test_searches_visit_all_of_few_cells_and_an_eighth_of_many(cells: int, probed: int) -> None:
    assert parse_spec(f"IVF{cells},Flat", count=0).probed_cells == probed


@pytest.mark.parametrize("text", ["Flat", "PQ16", "OPQ16_64,PQ32", "PCA128,Flat", "HNSW32"])
def test_accepts_dimensions_that_suit(text: str) -> None:
    parse_spec(text, count=0).check_dim(128)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PQ24", "divides vectors of 128 dimensions into 24 equal parts"),
        ("OPQ24,PQ16", "divides vectors of 128 dimensions into 24 equal parts"),
        ("OPQ16_64,PQ24", "divides vectors of 64 dimensions into 24 equal parts"),
        ("PCA129,Flat", "keeps 129 dimensions, but templates have 128"),
    ],
)
def test_refuses_dimensions_that_do_not(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_spec(text, count=0).check_dim(128)
