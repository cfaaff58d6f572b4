"""The head and the default thresholds of a bundle, from distances between subjects not trained on. NumPy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twindex.config import TARGET_FPIR
from twindex.embedder.model.card import DefaultThreshold
from twindex.errors import UsageError
from twindex.scoring import Head, chord, threshold_at
from twindex.types import Float32, Int64

PairDistances = tuple[Float32, Float32]  # of mated and of non-mated pairs
VERIFY_FMR = 0.001
_NEWTON_STEPS = 50
_MOST_NON_MATED = 10_000_000  # of which a large held-out set, which has their square, is sampled
_ROWS = 500
GALLERY_SIZES = (1, 10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Calibration:
    """What a card says of a branch's answers: the head, the operating thresholds, the accuracy on held-out pairs."""

    head: Head
    thresholds: tuple[DefaultThreshold, ...]
    verify_threshold: float
    accuracy: dict[str, float]


def calibrate(templates: Float32, subjects: Int64, head_pairs: PairDistances | None = None) -> Calibration:
    """Fit the head and the thresholds on all pairs of some templates.

    Args:
        templates: (n, dim) float32, unit length, of subjects not trained on.
        subjects: (n,) integer labels; two subjects, one of which has two templates, at least.
        head_pairs: Distances of other mated and non-mated pairs to fit the head on instead.

    Raises:
        UsageError: Mated pairs are not closer than non-mated ones.
    """
    mated, non_mated = pair_distances(templates, subjects)
    head = learned_head(*(head_pairs or (mated, non_mated)))
    verify = accept_distance(non_mated, VERIFY_FMR)
    return Calibration(
        head,
        tuple(
            DefaultThreshold(size, float(head.probability(distance)))
            for size, distance in thresholds_by_size(non_mated)
        ),
        float(head.probability(verify)),
        {
            "held_out_pairs": balanced_accuracy(mated, non_mated),
            "held_out_mated": len(mated),
            "held_out_non_mated": len(non_mated),
            "head_pairs": sum(map(len, head_pairs or (mated, non_mated))),
            "fnmr_at_fmr_0.001": float(np.mean(mated > verify)),
        },
    )


def learned_head(mated: Float32, non_mated: Float32) -> Head:
    """The head of a twin that was trained.

    Args:
        mated, non_mated: (m,) and (n,) float32 distances.

    Raises:
        UsageError: It has not learned to tell mated from non-mated pairs, or a kind of pair is missing.
    """
    try:
        return Head(*fit_head(mated, non_mated))
    except ValueError as error:
        raise UsageError(
            f"The twin has not learned enough to be calibrated: {error} Train it longer or on more photos: with more "
            "epochs in Keras; with more --steps (steps in a recipe) and another --run folder in `twindex train`."
        ) from error


def pair_distances(templates: Float32, subjects: Int64) -> tuple[Float32, Float32]:
    """Euclidean distances of all mated pairs, and of all or some ten million of the non-mated ones, drawn at random.

    Args:
        templates: (n, dim) float32, unit length.
        subjects: (n,) integer labels.

    Returns:
        Mated and non-mated distances, each ascending, float32.
    """
    exact, count = templates.astype(np.float64), len(templates)
    share, random = _MOST_NON_MATED / max(1, count * (count - 1) // 2), np.random.default_rng(0)
    mated, non_mated = [], []
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        distances = chord(exact[rows] @ exact[start:].T).astype(np.float32)
        later = np.arange(distances.shape[1]) > np.arange(len(distances))[:, None]
        same = subjects[rows, None] == subjects[None, start:]
        mated.append(distances[later & same])
        others = distances[later & ~same]
        non_mated.append(others if share >= 1 else others[random.random(len(others)) < share])
    return np.sort(np.concatenate(mated)), np.sort(np.concatenate(non_mated))


def fit_head(mated: Float32, non_mated: Float32) -> tuple[float, float]:
    """Weight and bias of P(same) = sigmoid(w d + b) by logistic regression (Platt 1999), both kinds weighing alike.

    Newton's method on the mean cross-entropy, with a ridge that keeps separable data finite.

    Args:
        mated, non_mated: (m,) and (n,) float32 distances.

    Raises:
        ValueError: A kind of pair is missing, or the fitted weight is not negative.
    """
    if not len(mated) or not len(non_mated):
        raise ValueError("Calibration needs mated and non-mated pairs.")
    distance = np.concatenate([mated, non_mated]).astype(np.float64)
    label = np.concatenate([np.ones(len(mated)), np.zeros(len(non_mated))])
    share = np.concatenate([np.full(len(mated), 0.5 / len(mated)), np.full(len(non_mated), 0.5 / len(non_mated))])
    features = np.stack([distance, np.ones_like(distance)], axis=1)
    solution = np.zeros(2)
    ridge = 1e-6
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(features @ solution, -50, 50)))
        gradient = features.T @ (share * (probability - label)) + ridge * solution
        curvature = (features * (share * probability * (1 - probability))[:, None]).T @ features + ridge * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        solution -= step * min(1.0, 10 / (np.abs(step).max() + 1e-12))
    weight, bias = solution
    if weight >= 0:
        raise ValueError(f"Mated pairs are not closer than non-mated ones (fitted weight {weight:.2f}).")
    return float(weight), float(bias)


def accept_distance(non_mated: Float32, rate: float) -> float:
    """The largest distance at or below which at most a share of non-mated pairs lies.

    Args:
        non_mated: (n,) float32 distances; n is at least 1.
        rate: The share, from 0 to below 1.
    """
    return float(np.nextafter(np.float32(threshold_at(rate, non_mated)), np.float32(0)))


def thresholds_by_size(non_mated: Float32) -> list[tuple[int, float]]:
    """(gallery size, distance) at which a stranger is called somebody with probability `TARGET_FPIR`.

    The nearest of N independent non-mated comparisons is within t with probability 1 - (1 - FMR(t))^N. Sizes for which
    the rate is below what the pairs can show (ten of them) are left out.
    """
    rates = [(size, 1 - (1 - TARGET_FPIR) ** (1 / size)) for size in GALLERY_SIZES]
    return [(size, accept_distance(non_mated, rate)) for size, rate in rates if rate * len(non_mated) >= 10]


def balanced_accuracy(mated: Float32, non_mated: Float32) -> float:
    """Best share of right decisions by one threshold on distance, both kinds weighing alike.

    Args:
        mated, non_mated: (m,) and (n,) float32 distances, ascending.
    """
    edges: NDArray[np.float32] = np.unique(np.concatenate([mated, non_mated[:: max(1, len(non_mated) // 10_000)]]))
    accepted = np.searchsorted(mated, edges, side="right") / len(mated)
    rejected = 1 - np.searchsorted(non_mated, edges, side="right") / len(non_mated)
    return float(np.max(accepted + rejected) / 2)
