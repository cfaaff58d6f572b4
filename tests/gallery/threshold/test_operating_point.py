"""The threshold set for a gallery, compared with a plain loop; and when it no longer fits."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tests.gallery.builders import BrightnessEmbedder
from tests.storage.builders import OTHER_MODEL, sample
from twindex.embedder.model.registry import find_model
from twindex.errors import ModelMismatchError, UsageError
from twindex.gallery import Gallery
from twindex.gallery.threshold import centroids
from twindex.gallery.threshold import strangers as stranger_scores
from twindex.gallery.threshold.age import threshold_age
from twindex.gallery.threshold.operating_point import calibrate
from twindex.gallery.threshold.outcome import StrangerPhotos
from twindex.scoring import Head, fuse
from twindex.types import Float32

DIM = 16
NUMBERS = count(1_000)


class CardedEmbedder(BrightnessEmbedder):
    """An embedder with the shipped model's card: its head and default thresholds."""

    card = find_model("default").card


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    monkeypatch.setattr(Gallery, "embedder", lambda self, fingerprint: CardedEmbedder(fingerprint))
    with Gallery.create(tmp_path / "gallery") as opened:
        yield opened


def person(number: int, photos: int, spread: float = 0.15) -> Float32:
    """(photos, 16) float32, unit length: templates that lie near each other."""
    random = np.random.default_rng([number, 6])
    templates = random.normal(size=DIM) / 4 + spread * random.normal(size=(photos, DIM))
    return (templates / np.linalg.norm(templates, axis=1, keepdims=True)).astype(np.float32)


def fill(gallery: Gallery, people: dict[str, Float32]) -> None:
    for name, templates in people.items():
        for template in templates:
            gallery.store.references.enroll(sample(next(NUMBERS)), name, gallery.active().fingerprint, template)


def best(probe: Float32, people: dict[str, Float32]) -> tuple[str, float]:
    """The first candidate and its distance, as a query finds them."""
    templates = np.concatenate(list(people.values()))
    fused = fuse(probe, templates, [name for name, own in people.items() for _ in own])
    first = int(np.argmin(fused.distances))
    return fused.subjects[first], float(fused.distances[first])


@pytest.fixture
def people() -> dict[str, Float32]:
    return {f"person {number}": person(number, 1 + number % 4) for number in range(30)}


def apart(axis: int, photos: int) -> Float32:
    """(photos, 16) float32, unit length: one of 16 people who resemble each other as little as possible."""
    templates = np.eye(DIM)[axis] + np.random.default_rng([axis, 7]).normal(scale=0.05, size=(photos, DIM))
    return (templates / np.linalg.norm(templates, axis=1, keepdims=True)).astype(np.float32)


def head() -> Head:
    return CardedEmbedder.card.head


def test_strangers_decide_the_threshold(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    strangers = {f"stranger {number}": person(100 + number, 1) for number in range(39)}
    source = StrangerPhotos(Path("/visitors"))
    found = calibrate(gallery, gallery.active().fingerprint, 0.05, strangers, source=source)
    scores = sorted(
        (float(head().probability(best(photos[0], people)[1] - 1e-4)) for photos in strangers.values()), reverse=True
    )
    assert found.point.threshold == pytest.approx(scores[1], abs=1e-6)  # 5 % of 40 are 2
    assert found.point.fpir_bound == pytest.approx(0.05)
    assert (found.method, found.subjects, found.gallery_size) == ("non-mated", 30, sum(map(len, people.values())))
    stored = gallery.store.gallery().threshold
    assert stored is not None
    assert stored.report == {**found.to_json(), "source": {"folder": "/visitors", "pre_cropped": False}}
    assert gallery.threshold(gallery.active().fingerprint) == found.point.threshold == stored.probability


def test_without_strangers_each_subject_is_left_out_in_turn(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    found = calibrate(gallery, gallery.active().fingerprint, 0.1)
    scores, missed, left_out = [], 0, 0
    for name, own in people.items():
        others = {other: templates for other, templates in people.items() if other != name}
        scores += [(float(head().probability(best(probe, others)[1])), 1 / len(own)) for probe in own]
        for number, probe in enumerate(own):
            if len(own) > 1:
                rest = {**others, name: np.delete(own, number, axis=0)}
                first, distance = best(probe, rest)
                missed += first != name or float(head().probability(distance)) < found.point.threshold
                left_out += 1
    threshold = found.point.threshold
    above = sum(weight for score, weight in scores if score >= threshold)
    assert above + 2 <= 0.1 * 31 + 1e-6  # they were compared with each other
    # The next lower threshold would let too many pass.
    lower = max(score for score, _ in scores if score < threshold - 1e-3)
    assert sum(weight for score, weight in scores if score >= lower) + 2 > 0.1 * 31
    assert found.method == "leave-one-subject-out"
    assert found.point.strangers == 30
    assert found.fnir == pytest.approx(missed / left_out)
    assert 0 < found.fnir < 1


def test_single_photos_give_no_fnir(gallery: Gallery) -> None:
    fill(gallery, {"ada": person(1, 1), "ben": person(2, 1)})
    found = calibrate(gallery, gallery.active().fingerprint, 0.5)
    assert (found.fnir, found.fnir_interval) == (None, None)


def test_a_copy_of_an_enrolled_photo_among_the_strangers_is_named(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    fingerprint = gallery.active().fingerprint
    before = gallery.threshold(fingerprint)
    copy = person(100, 1)
    copy[0] += people["person 4"][0] * 20  # about 0.05 apart: too far for the same bytes, P is 1 in all its digits
    copy /= np.linalg.norm(copy)
    with pytest.raises(
        UsageError, match=r"Nobody could match: .* because 'copy' comes that near .* out of the strangers"
    ):
        calibrate(gallery, fingerprint, 0.3, {"copy": copy, "other": person(101, 1)})
    assert gallery.store.gallery().threshold is None
    assert gallery.threshold(fingerprint) == before
    assert calibrate(gallery, fingerprint, 0.7, {"copy": copy, "other": person(101, 1)}).point.threshold < 1


def test_a_person_enrolled_under_two_names_is_named(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, {**people, "zoe": people["person 4"]})
    with pytest.raises(UsageError, match=r"because 'person 4', 'zoe' come that near .* merge subjects"):
        calibrate(gallery, gallery.active().fingerprint, 0.05)


def test_a_person_enrolled_under_two_names_with_other_photos_is_named(gallery: Gallery) -> None:
    """The centroid of other photos is farther than the same photo, but nobody would be found any more."""
    clear, twice = apart(0, 4), apart(1, 8)
    blurred = np.concatenate([clear[:2], apart(0, 60)[40:42] + apart(2, 2)])  # of one person, but less alike
    blurred /= np.linalg.norm(blurred, axis=1, keepdims=True)
    fill(gallery, {"ada": blurred, "zoe": twice[:4], "zoé": twice[4:]})
    with pytest.raises(UsageError, match=r"where no enrolled photo is found, because '[^']+'.* near to somebody"):
        calibrate(gallery, gallery.active().fingerprint, 0.01)
    assert gallery.store.gallery().threshold is None


def test_a_few_strangers_do_not_lower_the_models_default(gallery: Gallery) -> None:
    fill(gallery, {"ada": apart(0, 2), "ben": apart(1, 2)})
    fingerprint = gallery.active().fingerprint
    before = gallery.threshold(fingerprint)
    for strangers in (None, {"stranger": apart(2, 3)}):
        found = calibrate(gallery, fingerprint, 0.01, strangers)
        assert (found.point.enough, found.point.threshold, found.default) == (False, before, before)
        assert found.above_default == ()
        assert gallery.threshold(fingerprint) == before
    enough = {f"stranger {number}": photo[None] for number, photo in enumerate(apart(2, 99))}
    assert calibrate(gallery, fingerprint, 0.01, enough).point.threshold < before


def test_strangers_above_the_default_are_named_with_the_person_they_resemble(gallery: Gallery) -> None:
    fill(gallery, {"ada": apart(0, 2), "ben": apart(1, 2)})
    like = apart(1, 40)[30:] + 0.6 * apart(3, 10)
    like /= np.linalg.norm(like, axis=1, keepdims=True)
    strangers = {"far": apart(2, 2), "near": np.concatenate([apart(4, 1), like])}
    found = calibrate(gallery, gallery.active().fingerprint, 0.01, strangers)
    (near,) = found.above_default
    assert (near.stranger, near.subject) == ("near", "ben")
    assert found.point.threshold > near.probability >= found.default


def test_an_outgrown_threshold_is_replaced_by_a_stricter_default(gallery: Gallery) -> None:
    fill(gallery, {"ada": apart(0, 2), "ben": apart(1, 2)})
    fingerprint = gallery.active().fingerprint
    enough = {f"stranger {number}": photo[None] for number, photo in enumerate(apart(2, 99))}
    low = calibrate(gallery, fingerprint, 0.01, enough).point.threshold
    assert gallery.threshold(fingerprint) == low
    fill(gallery, {"cy": apart(3, 1)})
    assert gallery.threshold(fingerprint) == CardedEmbedder.card.threshold_for(3) > low


def test_erased_people_are_not_measured(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    gallery.erase("person 3")
    assert calibrate(gallery, gallery.active().fingerprint, 0.1).subjects == 29


def test_an_empty_gallery_and_a_single_person_are_refused(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="empty"):
        calibrate(gallery, gallery.active().fingerprint, 0.1)
    fill(gallery, {"ada": person(1, 3)})
    with pytest.raises(UsageError, match="Only one person is enrolled, so nobody can be left out"):
        calibrate(gallery, gallery.active().fingerprint, 0.1)
    with pytest.raises(UsageError, match="No photo of the strangers has a usable face"):
        calibrate(gallery, gallery.active().fingerprint, 0.1, {})
    found = calibrate(gallery, gallery.active().fingerprint, 0.6, {"eve": person(5, 1)})
    assert found.point.fpir_bound == 0.5
    assert found.fnir is not None


def test_templates_of_another_model_are_refused(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    with pytest.raises(ModelMismatchError, match="changed its model meanwhile"):
        calibrate(gallery, OTHER_MODEL, 0.1, {"eve": person(5, 1)})
    assert gallery.store.gallery().threshold is None


def test_searching_in_pieces_gives_the_same_result(
    gallery: Gallery, people: dict[str, Float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(gallery, people)
    strangers = {f"stranger {number}": person(100 + number, 2) for number in range(19)}
    fingerprint = gallery.active().fingerprint
    whole = [calibrate(gallery, fingerprint, 0.1, given).to_json() for given in (strangers, None)]
    monkeypatch.setattr(centroids, "_COLUMNS", 7)
    monkeypatch.setattr(centroids, "_ROWS", 3)
    assert [calibrate(gallery, fingerprint, 0.1, given).to_json() for given in (strangers, None)] == whole
    with pytest.raises(UsageError, match="is enrolled"):
        calibrate(gallery, fingerprint, 0.1, {"eve": people["person 29"][1:]})
    monkeypatch.setattr(stranger_scores, "MOST_SUBJECTS", 5)
    monkeypatch.setattr(stranger_scores, "MOST_PHOTOS", 2)
    assert calibrate(gallery, fingerprint, 0.5).point.strangers == 5


def test_an_enrolled_photo_is_recognised_by_its_bytes_not_by_likeness(
    gallery: Gallery, people: dict[str, Float32]
) -> None:
    fill(gallery, people)
    alike = people["person 7"][:1] + np.float32(0.002)
    alike /= np.linalg.norm(alike)
    assert 0.001 < np.linalg.norm(alike - people["person 7"][0]) < 0.01
    assert calibrate(gallery, gallery.active().fingerprint, 0.6, {"twin": alike}).point.threshold > 0.9
    gallery.store.set_threshold(None)
    with pytest.raises(UsageError, match="'eve' among the strangers is enrolled"):
        calibrate(gallery, gallery.active().fingerprint, 0.1, {"zoe": person(200, 1), "eve": people["person 7"][:1]})
    assert gallery.store.gallery().threshold is None


def test_the_age_of_a_threshold(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    assert threshold_age(gallery).age == "never set"
    assert "30 people" in threshold_age(gallery).note
    calibrate(gallery, gallery.active().fingerprint, 0.1)
    assert threshold_age(gallery).age == "fits"
    assert threshold_age(gallery).note == ""
    # Three new people are a tenth; more photos of the same people do not count.
    fill(gallery, {f"new {number}": person(300 + number, 1) for number in range(3)})
    fill(gallery, {"person 1": person(400, 40)})
    assert threshold_age(gallery).age == "fits"
    fill(gallery, {"one more": person(401, 1)})
    assert threshold_age(gallery).age == "grown"
    assert "set for 30 people, there are 34 now" in threshold_age(gallery).note
    calibrate(gallery, gallery.active().fingerprint, 0.1)
    assert threshold_age(gallery).age == "fits"


def test_another_model_s_threshold_is_not_used(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    calibrate(gallery, gallery.active().fingerprint, 0.1)
    stored = gallery.store.gallery().threshold
    assert stored is not None
    gallery.store.set_threshold(replace(stored, fingerprint=OTHER_MODEL))
    assert threshold_age(gallery).age == "other model"
    active = gallery.active().fingerprint
    assert gallery.threshold(active) == CardedEmbedder.card.threshold_for(30)
    # A rollback to that model finds its threshold again.
    assert gallery.threshold(OTHER_MODEL) == stored.probability
