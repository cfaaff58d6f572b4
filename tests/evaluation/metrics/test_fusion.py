"""Distances of probes to subjects under each rule, on points of a circle."""

import numpy as np
import pytest

from tests.test_scoring import chord, on_circle
from twindex.evaluation.metrics.fusion import RULES, Rule, subject_distances
from twindex.scoring import fuse

# Subject 0 has references at 20, 60 and 100 degrees, subject 1 one at 90.
OWNERS = np.array([0, 1, 0, 0])
REFERENCES = on_circle(100, 90, 20, 60)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("nearest", chord(20)), ("mean_two", (chord(20) + chord(60)) / 2), ("centroid", chord(60))],
)
def test_rules_by_hand(rule: Rule, expected: float) -> None:
    found = subject_distances(on_circle(0), REFERENCES, OWNERS, rule)
    assert found[0].tolist() == pytest.approx([expected, chord(90)], abs=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_rules_agree_on_single_references(rule: Rule) -> None:
    found = subject_distances(on_circle(0, 30), on_circle(10, 80), np.array([1, 0]), rule)
    assert found.tolist() == [pytest.approx([chord(80), chord(10)], abs=1e-6), pytest.approx([chord(50), chord(20)])]


def test_many_probes_are_compared_in_pieces() -> None:
    probes = on_circle(*range(0, 360, 1), *range(0, 360, 1))
    found = subject_distances(probes, REFERENCES, OWNERS, "mean_two")
    assert found.shape == (720, 2)
    assert found[:360].tolist() == found[360:].tolist()


def test_no_probes_give_no_distances() -> None:
    assert subject_distances(np.empty((0, 2), np.float32), REFERENCES, OWNERS).shape == (0, 2)


def test_queries_fuse_by_the_default_rule() -> None:
    random = np.random.default_rng(5)
    templates = random.normal(size=(40, 8)).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    owners = random.permutation(np.arange(40) % 7)
    probe = templates[0] * np.float32(-1)
    fused = fuse(probe, templates, [str(owner) for owner in owners])
    measured = subject_distances(probe[None], templates, owners)[0]
    for subject, distance in zip(fused.subjects, fused.distances.tolist(), strict=True):
        assert distance == pytest.approx(measured[int(subject)], abs=1e-6)


def test_opposite_references_are_far_from_everybody() -> None:
    found = subject_distances(on_circle(0), on_circle(0, 180), np.array([0, 0]), "centroid")
    assert found.tolist() == [[pytest.approx(np.sqrt(2))]]
