"""Open-set search on points of a circle: what is measured without a model."""

from pathlib import Path

import numpy as np
import pytest

from tests.test_scoring import chord, on_circle
from twindex.embedder.model.registry import find_model
from twindex.errors import UsageError
from twindex.evaluation.capture import Captured
from twindex.evaluation.open_set import measure_search
from twindex.evaluation.open_set_photos import CapturedOpenSet, OpenSet

CARD = find_model("default").card


def captured(usable: tuple[bool, ...]) -> CapturedOpenSet:
    """Ada at 0 and 20 degrees, Ben at 90, Cy unusable; probes of Ada at 10, of Ben at 40; a stranger at 85."""
    photos = OpenSet(
        tuple((path.stem.split("-")[0], path) for path in map(Path, ("ada-1.jpg", "ada-2.jpg", "ben-1.jpg", "cy.jpg"))),
        (("ada", Path("ada-3.jpg")), ("ben", Path("ben-2.jpg"))),
        (("eve", Path("eve.jpg")),),
    )
    failures = tuple((path, "no_face") for (_, path), good in zip(photos.enrolled, usable, strict=True) if not good)
    return CapturedOpenSet(
        photos,
        Captured(tuple(path for _, path in photos.enrolled), on_circle(0, 20, 90, 0), np.array(usable), failures),
        Captured((Path("ada-3.jpg"), Path("ben-2.jpg")), on_circle(10, 40), np.array([True, True]), ()),
        Captured((Path("eve.jpg"),), on_circle(85), np.array([True]), ()),
    )


def test_a_search_is_measured_by_hand() -> None:
    result = measure_search(captured((True, True, True, False)), CARD)
    value = result.to_json()
    assert (value["gallery_size"], value["subjects"], value["probes"], value["strangers"]) == (3, 3, 2, 1)
    assert value["rank1"] == 0.5
    assert value["fnir_at_fpir"] == {"0.01": 0.5, "0.003": 0.5}
    assert value["failures_to_enrol"] == 1
    assert value["model"] == CARD.fingerprint
    assert set(value["by_size"]) == {"3"}


def test_wrong_answers_are_listed_nearest_first() -> None:
    result = measure_search(captured((True, True, True, False)), CARD)
    assert [(wrong.probe.name, wrong.person, wrong.first.name) for wrong in result.worst] == [
        ("eve.jpg", None, "ben-1.jpg"),
        ("ben-2.jpg", "ben", "ada-1.jpg"),
    ]
    assert [wrong.distance for wrong in result.worst] == pytest.approx([chord(5), chord(30)], abs=1e-6)


def test_a_wrong_answer_shows_a_photo_that_could_be_enrolled() -> None:
    result = measure_search(captured((False, True, True, False)), CARD)
    assert result.worst[1].first.name == "ada-2.jpg"


def test_somebody_must_be_enrolled() -> None:
    with pytest.raises(UsageError, match="None of the photos to enrol has a usable face"):
        measure_search(captured((False,) * 4), CARD)
