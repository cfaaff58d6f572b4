"""Lists of pairs: reading them, and refusing malformed ones."""

from pathlib import Path

import pytest

from twindex.errors import UsageError
from twindex.evaluation.pairs_file import Pair, read_pairs


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for photo in ("Ada/Ada_0001.jpg", "Ada/Ada_0012.webp", "Zoë/Zoë_0003.png", "Ada/Ada_0001.txt"):
        file = tmp_path / "images" / photo
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "images"


def listed(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "pairs.txt"
    file.write_text(text, "utf-8")
    return file


def test_folds_and_kinds(tmp_path: Path, images: Path) -> None:
    file = listed(tmp_path, "2\t1\nAda\t1\t12\nAda\t1\tZoë\t3\nAda\t12\t1\nZoë\t3\tAda\t12\n")
    ada, again, zoe = images / "Ada/Ada_0001.jpg", images / "Ada/Ada_0012.webp", images / "Zoë/Zoë_0003.png"
    assert read_pairs(file, images) == [
        Pair(ada, again, True, 0),
        Pair(ada, zoe, False, 0),
        Pair(again, ada, True, 1),
        Pair(zoe, again, False, 1),
    ]


def test_one_number_is_one_fold(tmp_path: Path, images: Path) -> None:
    found = read_pairs(listed(tmp_path, "1\nAda\t1\t12\nAda\t1\tZoë\t3\n"), images)
    assert [pair.fold for pair in found] == [0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a list of pairs"),
        ("Ada\t1\t2\n", "not a list of pairs"),
        ("0\t3\n", "at least one fold"),
        ("9" * 5000 + "\n", "not a list of pairs"),
        ("1\nAda\t1\t12\nAda\t1\tZoë\t" + "9" * 5000 + "\n", "line 3: expected a name"),
        ("1\nAda\t1\t12\n", "expected 2 pairs by its first line, got 1"),
        ("1\nAda\t1\t12\nAda\t1\n", "line 3: expected a non-mated pair"),
        ("1\nAda\t1\t12\n\nAda\t12\t1\n", "line 4: expected a non-mated pair"),
        ("1\nAda\t1\tZoë\t3\nAda\t1\t12\n", "line 2: expected a mated pair"),
        ("1\nAda\t1\t²\nAda\t1\tZoë\t3\n", "line 2: expected a name"),
        ("1\nAda\t1\t12\nAda\tone\tZoë\t3\n", "line 3"),
        ("1\nAda\t1\t12\n../images/Ada\t1\tZoë\t3\n", "line 3"),
        ("1\nAda\t1\t2\nAda\t1\tZoë\t3\n", "no photo Ada_0002"),
        ("1\nBob\t1\t2\nAda\t1\tZoë\t3\n", "no photo Bob_0001"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(tmp_path: Path, images: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_pairs(listed(tmp_path, text), images)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path, images: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="Cannot read the pairs"):
        read_pairs(file, images)
