"""The examples in the docstrings of the Python API, run on the demo's people."""

import doctest
import shutil
from pathlib import Path

import numpy as np
import pytest

import twindex
from tests.corpus.people import PEOPLE
from twindex.api import faces, gallery, opening, people, upkeep

pytestmark = pytest.mark.slow

EXAMPLES = [
    example
    for module in (opening, faces, gallery, people, upkeep)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module)
    if example.examples
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_says(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, photo in (("visitor", "4"), ("passport", "4"), ("selfie", "5")):
        shutil.copy(PEOPLE / "probes" / "ada" / f"{photo}.jpg", tmp_path / f"{name}.jpg")
    shutil.copy(PEOPLE / "group.jpg", tmp_path / "party.jpg")
    shutil.copytree(PEOPLE / "enrolled", tmp_path / "people")
    monkeypatch.chdir(tmp_path)
    with twindex.open("enrolled") as opened:
        if "gallery." in example.docstring and "twindex.open" not in example.docstring:
            opened.enroll("people/")
        example.globs = {"twindex": twindex, "gallery": opened, "np": np}
        out: list[str] = []
        failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=out.append).failed
        assert not failed, "".join(out)
