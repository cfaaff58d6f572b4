"""The card: its stored form, what it refuses, its fingerprint and its thresholds."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twindex.embedder.model.card import Card, DefaultThreshold
from twindex.embedder.model.registry import find_model
from twindex.errors import BundleError

MakeCard = Callable[..., Card]
WEIGHTS = "ab" * 32
RANGES = tuple(1 + place / 8 for place in range(103))


@pytest.fixture
def card(make_card: MakeCard) -> Card:
    return make_card(weights_sha256=WEIGHTS)


def test_a_card_survives_json(card: Card) -> None:
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_the_stored_form_is_the_documented_one(card: Card) -> None:
    assert card.to_json() == {
        "schema": 1,
        "architecture": "inception_v3, projection, l2",
        "preprocessing": "rgb, pixel / 127.5 - 1",
        "name": "tiny",
        "input_shape": [75, 75, 3],
        "dim": 16,
        "mirror": False,
        "alignment": "arcface-112",
        "head_weight": -6.0,
        "head_bias": 6.5,
        "thresholds": [
            {"gallery_size": 1, "probability": 0.5},
            {"gallery_size": 100, "probability": 0.7},
            {"gallery_size": 10_000, "probability": 0.8},
        ],
        "verify_threshold": 0.6,
        "training": {"data": "random numbers"},
        "accuracy": {"lfw": 0.5},
        "versions": {"numpy": "2.0"},
        "terms": "None.",
        "weights_sha256": WEIGHTS,
        "precision": "float32",
        "activation_ranges": [],
    }


def test_whole_numbers_may_stand_for_floats(card: Card) -> None:
    values = {**card.to_json(), "head_weight": -6, "verify_threshold": 1}
    assert Card.from_json(values).head_weight == -6.0
    assert type(Card.from_json(values).verify_threshold) is float


def test_the_fingerprint_never_changes_for_the_same_model(card: Card) -> None:
    canonical = (
        '{"alignment":"arcface-112","architecture":"inception_v3, projection, l2","dim":16,"input_shape":[75,75,3],'
        '"mirror":false,"precision":"float32","preprocessing":"rgb, pixel / 127.5 - 1","weights_sha256":"'
        + WEIGHTS
        + '"}'
    )
    assert card.fingerprint == hashlib.sha256(canonical.encode()).hexdigest()
    assert card.fingerprint == "b15141d81513be5c961f4bc706f31a8511550b97d517f851247c8d20ddf2dd61"


@pytest.mark.parametrize(
    "change",
    [
        {"head_weight": -7.0},
        {"head_bias": 1.0},
        {"thresholds": ()},
        {"verify_threshold": 0.7},
        {"name": "other"},
        {"terms": "Others."},
        {"training": {}},
        {"accuracy": {}},
        {"versions": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_fingerprint_ignores_fields_that_change_no_template(
    card: Card, make_card: MakeCard, change: dict[str, Any]
) -> None:
    assert make_card(weights_sha256=WEIGHTS, **change).fingerprint == card.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "cd" * 32},
        {"input_shape": (112, 112, 3)},
        {"dim": 32},
        {"mirror": True},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_fingerprint_covers_fields_that_change_a_template(
    card: Card, make_card: MakeCard, change: dict[str, Any]
) -> None:
    assert make_card(**{"weights_sha256": WEIGHTS, **change}).fingerprint != card.fingerprint


def test_ranges_change_a_template_only_in_8_bits(card: Card, make_card: MakeCard) -> None:
    measured = make_card(weights_sha256=WEIGHTS, activation_ranges=RANGES)
    assert measured.fingerprint == card.fingerprint
    in_8_bits = measured.with_precision("int8")
    assert in_8_bits.fingerprint != card.fingerprint
    wider = make_card(weights_sha256=WEIGHTS, precision="int8", activation_ranges=(*RANGES[1:], 9.0))
    assert wider.fingerprint != in_8_bits.fingerprint
    assert Card.from_json(json.loads(json.dumps(in_8_bits.to_json()))) == in_8_bits


def test_another_precision_is_in_the_name(make_card: MakeCard) -> None:
    card = make_card(name="n" * 64)
    assert card.with_precision("float32") is card
    assert card.with_precision("bfloat16").name == "n" * 55 + "-bfloat16"
    assert make_card().with_precision("bfloat16").precision == "bfloat16"


def test_8_bits_without_ranges_are_refused(make_card: MakeCard) -> None:
    with pytest.raises(BundleError, match="without the activations' ranges that int8 needs"):
        make_card().with_precision("int8")
    with pytest.raises(BundleError, match="activation_ranges that is out of range"):
        make_card(precision="int8")


def test_a_card_from_before_8_bits_is_read(card: Card) -> None:
    values = card.to_json()
    del values["activation_ranges"]
    assert Card.from_json(values) == card


def test_a_card_without_weights_has_no_fingerprint(make_card: MakeCard) -> None:
    with pytest.raises(BundleError, match="no fingerprint before its weights are written"):
        _ = make_card().fingerprint
    assert make_card().with_weights(WEIGHTS) == make_card(weights_sha256=WEIGHTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", "../up"),
        ("name", "two\nlines"),
        ("name", "n" * 65),
        ("input_shape", (74, 74, 3)),
        ("input_shape", (112, 75, 3)),
        ("input_shape", (75, 75, 1)),
        ("input_shape", (2048, 2048, 3)),
        ("dim", 1),
        ("dim", 1 << 20),
        ("alignment", "eyes"),
        ("head_weight", 0.0),
        ("head_weight", -math.inf),
        ("head_bias", math.nan),
        ("thresholds", (DefaultThreshold(10, 0.5), DefaultThreshold(10, 0.6))),
        ("thresholds", (DefaultThreshold(10, 0.5), DefaultThreshold(1, 0.6))),
        ("thresholds", (DefaultThreshold(1, 0.6), DefaultThreshold(10, 0.5))),
        ("thresholds", (DefaultThreshold(0, 0.6),)),
        ("thresholds", (DefaultThreshold(1, 0.0),)),
        ("thresholds", (DefaultThreshold(1, 1.1),)),
        ("thresholds", (DefaultThreshold(1, math.nan),)),
        ("verify_threshold", 0.0),
        ("verify_threshold", math.nan),
        ("weights_sha256", "ABC"),
        ("weights_sha256", "AB" * 32),
        ("precision", "float64"),
        ("activation_ranges", (1.0, 2.0)),
        ("activation_ranges", (*RANGES[1:], 0.0)),
        ("activation_ranges", (*RANGES[1:], math.inf)),
    ],
)
def test_values_out_of_range_are_refused(make_card: MakeCard, name: str, value: object) -> None:
    with pytest.raises(BundleError, match=f"a {name} that is out of range"):
        make_card(**{name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "schema 2, this version reads 1"),
        ({"schema": True}, "expected schema to be a whole number, got"),
        ({"architecture": "resnet"}, "architecture 'resnet'"),
        ({"preprocessing": "bgr"}, "preprocessing 'bgr'"),
        ({"name": 5}, "expected name to be a text, got"),
        ({"dim": 16.0}, "expected dim to be a whole number, got"),
        ({"dim": True}, "expected dim to be a whole number, got"),
        ({"mirror": 1}, "expected mirror to be true or false, got"),
        ({"mirror": "false"}, "expected mirror to be true or false, got"),
        ({"head_weight": "-6"}, "expected head_weight to be a finite number, got"),
        ({"head_weight": False}, "expected head_weight to be a finite number, got"),
        ({"head_bias": 10**400}, "expected head_bias to be a finite number, got"),
        ({"input_shape": [75, 75]}, r"expected input_shape to be a list of 3 whole numbers, got \[75, 75\]"),
        ({"input_shape": [75, 75, "3"]}, r"expected input_shape\[2\] to be a whole number, got"),
        ({"input_shape": None}, "expected input_shape to be a list of 3 whole numbers, got None"),
        ({"thresholds": [5]}, r"expected thresholds\[0\] to be an object, got"),
        ({"thresholds": [{"gallery_size": 10**400, "probability": 0.5}]}, "a thresholds that is out of range"),
        ({"thresholds": [{"gallery_size": 1}]}, "missing or unknown keys: 'probability'"),
        (
            {"thresholds": [{"gallery_size": 1.5, "probability": 0.5}]},
            r"expected thresholds\[0\].gallery_size to be a whole number, got",
        ),
        ({"versions": {"numpy": 2}}, r"expected versions\['numpy'\] to be a text, got"),
        ({"training": []}, "expected training to be an object, got"),
        ({"surprise": 1}, "missing or unknown keys: 'surprise'"),
        ({"precision": "float64"}, "expected precision to be one of .*, got 'float64'"),
    ],
)
def test_values_that_are_not_a_card_are_refused(card: Card, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        Card.from_json({**card.to_json(), **change})


@pytest.mark.parametrize("name", ["schema", "name", "thresholds", "precision"])
def test_a_missing_key_is_refused(card: Card, name: str) -> None:
    values = card.to_json()
    del values[name]
    with pytest.raises(BundleError, match=name):
        Card.from_json(values)


@pytest.mark.parametrize("value", [None, [], "card", 5])
def test_json_that_is_not_an_object_is_refused(value: object) -> None:
    with pytest.raises(BundleError, match="expected the card to be an object, got"):
        Card.from_json(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(make_card: MakeCard, data: st.DataObject) -> None:
    values = make_card(weights_sha256=WEIGHTS).to_json()
    values[data.draw(st.sampled_from(sorted(values)))] = data.draw(JSON)
    try:
        read = Card.from_json(values)
    except BundleError:
        return
    assert Card.from_json(read.to_json()) == read


@pytest.mark.parametrize(
    ("gallery_size", "odds"),
    # The odds of the card's thresholds are 1, 7/3 and 4: half-way between two sizes they are geometric means.
    [(1, 1), (10, (7 / 3) ** 0.5), (100, 7 / 3), (1_000, (28 / 3) ** 0.5), (10_000, 4), (1_000_000, 48 / 7)],
)
def test_distances_are_linear_in_the_logarithm_of_the_gallery(card: Card, gallery_size: int, odds: float) -> None:
    assert card.threshold_for(gallery_size) == pytest.approx(odds / (1 + odds), abs=1e-12)


@pytest.mark.parametrize(
    ("gallery_size", "distance"),
    [(30, 1.0548), (300, 0.9754), (1_192, 0.9294), (10_000, 0.8584), (1_000_000, 0.7048)],
)
def test_the_shipped_model_still_matches_other_photos_in_large_galleries(gallery_size: int, distance: float) -> None:
    card = find_model("default").card
    threshold = card.threshold_for(gallery_size)
    assert card.head.reach(threshold) == pytest.approx(distance, abs=0.002)


def test_a_card_may_have_a_threshold_out_of_reach(make_card: MakeCard) -> None:
    card = make_card(thresholds=(DefaultThreshold(1, 0.5), DefaultThreshold(100, 1.0)))
    assert 0.5 < card.threshold_for(10) < card.threshold_for(99) < 1
    assert card.threshold_for(100) == card.threshold_for(10**6) == 1.0


def test_the_same_photo_still_matches_in_the_largest_gallery(card: Card) -> None:
    at_zero = 1 / (1 + math.exp(-6.5))
    assert card.threshold_for(10**30) == pytest.approx(at_zero, abs=1e-12)


def test_the_ceiling_does_not_lower_a_cards_own_threshold(make_card: MakeCard) -> None:
    card = make_card(head_bias=0.0)
    assert card.threshold_for(10**9) == 0.8


def test_below_the_smallest_gallery_its_threshold_holds(make_card: MakeCard) -> None:
    card = make_card(thresholds=(DefaultThreshold(50, 0.5), DefaultThreshold(100, 0.7)))
    assert card.threshold_for(1) == card.threshold_for(50) == 0.5


def test_the_distance_of_a_single_threshold_falls_by_a_tenth_with_each_tenfold_gallery(make_card: MakeCard) -> None:
    card = make_card(thresholds=(DefaultThreshold(10, 0.7),))
    head = card.head
    assert [card.threshold_for(size) for size in (1, 10)] == [0.7, 0.7]
    distances = [head.reach(card.threshold_for(size)) for size in (10, 100, 1_000)]
    assert [distances[0] - one for one in distances] == pytest.approx([0, 0.1, 0.2])
    assert card.threshold_for(10**30) == float(head.probability(0.0))


def test_without_thresholds_the_one_for_verification_serves_a_gallery_of_one(make_card: MakeCard) -> None:
    card = make_card(thresholds=())
    one = make_card(thresholds=(DefaultThreshold(1, card.verify_threshold),))
    assert card.threshold_for(1) == card.verify_threshold < card.threshold_for(2)
    assert card.threshold_for(1_000) == one.threshold_for(1_000)


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_larger_gallery_never_has_a_lower_threshold(make_card: MakeCard, one: int, other: int) -> None:
    card = make_card()
    smaller, larger = sorted((one, other))
    assert card.threshold_for(smaller) <= card.threshold_for(larger) + 1e-12


def test_an_empty_gallery_has_no_threshold(card: Card) -> None:
    with pytest.raises(ValueError, match="at least one subject, got 0"):
        card.threshold_for(0)
