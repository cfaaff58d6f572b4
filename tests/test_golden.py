"""Galleries and archives that 0.1.0 made, before the rooms were built: they open, and answer as they did."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import twindex
from tests.corpus.people import PEOPLE
from twindex.archive.importing import import_gallery

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
ANSWERS = [json.loads(line) for line in (GOLDEN / "answers.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module", params=["folder", "archive"])
def gallery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden") / "gallery"
    if request.param == "folder":
        shutil.copytree(GOLDEN / "gallery", folder)
    else:
        import_gallery(GOLDEN / "gallery.twindex", folder)
    return folder


def assert_same(now: Any, then: Any) -> None:
    """All that was said then is said now, numbers to 1e-5; more may be said."""
    if isinstance(then, dict):
        for name, value in then.items():
            assert_same(now[name], value)
    elif isinstance(then, list):
        for one, other in zip(now, then, strict=True):
            assert_same(one, other)
    else:
        assert now == (pytest.approx(then, abs=1e-5) if isinstance(then, float) else then)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["probe"])
def test_the_answers_are_those_of_then(gallery: Path, answer: dict[str, Any]) -> None:
    with twindex.open(gallery, read_only=True) as opened:
        now = opened.identify(PEOPLE / answer["probe"]).to_json()
    assert_same(now, {**answer, "probe": str(PEOPLE / answer["probe"])})


def test_a_gallery_of_then_is_sound_and_can_be_enrolled_in(gallery: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    shutil.copytree(gallery, folder)
    with twindex.open(folder) as opened:
        assert [(subject.subject, subject.references) for subject in opened.subjects()] == [("ada", 2), ("zoë", 2)]
        assert opened.enroll(PEOPLE / "enrolled" / "ben", subject="ben").enrolled == 3
        assert opened.identify(next((PEOPLE / "probes" / "ben").glob("*.jpg"))).faces[0].subject == "ben"
        assert opened.enroll(PEOPLE / "enrolled" / "ada" / "1.jpg", subject="ada").skipped == 1
