"""Each loss against a plain NumPy computation over the same pairs and triplets."""

import itertools

import keras
import numpy as np
import pytest

from twindex.embedder.training.twin import losses

SUBJECTS = np.array([0, 0, 1, 1, 1, 2])
PAIRS = list(itertools.combinations(range(len(SUBJECTS)), 2))


@pytest.fixture
def templates() -> np.ndarray:
    drawn = np.random.default_rng(2).normal(size=(6, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def number(value: object) -> float:
    return float(keras.ops.convert_to_numpy(value))


def gap(templates: np.ndarray, one: int, other: int) -> float:
    return float(np.linalg.norm(templates[one] - templates[other]))


def test_contrastive_pulls_mated_and_pushes_near_non_mated(templates: np.ndarray) -> None:
    mated = [gap(templates, *pair) ** 2 for pair in PAIRS if SUBJECTS[pair[0]] == SUBJECTS[pair[1]]]
    others = [max(1.2 - gap(templates, *pair), 0) ** 2 for pair in PAIRS if SUBJECTS[pair[0]] != SUBJECTS[pair[1]]]
    expected = 0.5 * (np.mean(mated) + np.mean(others))
    assert number(losses.contrastive(templates, SUBJECTS, margin=1.2)) == pytest.approx(expected, rel=1e-4)


def test_binary_crossentropy_counts_the_hardest_non_mated_pairs(templates: np.ndarray) -> None:
    def head(distances):
        return keras.ops.sigmoid(-6.0 * distances + 6.6)

    def probability(pair: tuple[int, int]) -> float:
        return 1 / (1 + np.exp(6.0 * gap(templates, *pair) - 6.6))

    mated = [-np.log(probability(pair)) for pair in PAIRS if SUBJECTS[pair[0]] == SUBJECTS[pair[1]]]
    others = [-np.log(1 - probability(pair)) for pair in PAIRS if SUBJECTS[pair[0]] != SUBJECTS[pair[1]]]
    expected = np.mean(mated) + np.mean(sorted(others)[-3:])
    assert number(losses.binary_crossentropy(templates, SUBJECTS, head, hardest=3)) == pytest.approx(expected, rel=1e-3)


def test_triplet_takes_the_nearest_negative_beyond_the_positive(templates: np.ndarray) -> None:
    squared = np.array([[gap(templates, a, b) ** 2 for b in range(6)] for a in range(6)])
    violations = []
    for anchor, positive in itertools.permutations(range(6), 2):
        if SUBJECTS[anchor] != SUBJECTS[positive]:
            continue
        negatives = squared[anchor][SUBJECTS[anchor] != SUBJECTS]
        beyond = negatives[negatives > squared[anchor, positive]]
        chosen = beyond.min() if len(beyond) else negatives.max()
        violations.append(max(squared[anchor, positive] - chosen + 0.4, 0))
    assert number(losses.triplet_semi_hard(templates, SUBJECTS, margin=0.4)) == pytest.approx(
        np.mean(violations), rel=1e-4
    )


def test_distillation_is_zero_only_for_the_teacher_itself(templates: np.ndarray) -> None:
    assert number(losses.distillation(templates, templates)) == pytest.approx(0, abs=1e-6)
    targets = np.roll(templates, 1, axis=0)
    direct = 1 - np.mean(np.sum(templates * targets, axis=1))
    relations = np.mean((templates @ targets.T - targets @ targets.T) ** 2)
    assert number(losses.distillation(templates, targets)) == pytest.approx(direct + 2 * relations, rel=1e-4)


@pytest.mark.parametrize("name", ["contrastive", "triplet_semi_hard"])
def test_separated_subjects_cost_nothing(name: str) -> None:
    corners = np.eye(8, dtype=np.float32)[SUBJECTS]
    assert number(getattr(losses, name)(corners, SUBJECTS)) == pytest.approx(0, abs=1e-5)
