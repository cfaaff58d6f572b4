"""From distances to an answer: exact distances, the learned head, one distance a subject, the decision. Pure NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twindex.types import Candidate, Decision, Float32, Int64, frozen_array

Float64 = NDArray[np.float64]

FusionRule = Literal["nearest", "mean_two"]
_COUNTED: dict[FusionRule, int] = {"nearest": 1, "mean_two": 2}


def distances(probe: Float32, templates: Float32) -> Float32:
    """Euclidean distances of a probe's template to others.

    Summed in float64: the expansion 2 - 2 a.b in float32 would lose every distance below about 3e-4.

    Args:
        probe: (dim,) float32.
        templates: (n, dim) float32; n may be 0.

    Returns:
        (n,) float32, not squared.

    Raises:
        ValueError: The shapes do not belong together.
    """
    if probe.ndim != 1 or templates.ndim != 2 or templates.shape[1] != len(probe):
        raise ValueError(f"Expected shapes (dim,) and (n, dim), got {probe.shape} and {templates.shape}.")
    differences = templates.astype(np.float64) - probe.astype(np.float64)
    lengths: Float64 = np.sqrt(np.sum(differences**2, axis=1))
    return lengths.astype(np.float32)


@dataclass(frozen=True)
class Head:
    """The twin's learned head: P(same person) = 1 / (1 + exp(-(weight * distance + bias))).

    Attributes:
        weight: Below 0: the farther, the less alike.
        bias: The log odds at distance 0.
    """

    weight: float
    bias: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and np.isfinite(self.bias) and self.weight < 0):
            raise ValueError(f"Expected finite numbers and a weight below 0, got {self.weight} and {self.bias}.")

    def probability(self, distance: Float32 | Float64 | float) -> Float64:
        """P(same person) for each distance, float64, same shape; exact at both ends, where exp alone overflows."""
        log_odds = self.weight * np.asarray(distance, dtype=np.float64) + self.bias
        probability: Float64 = np.exp(-np.logaddexp(0.0, -log_odds))
        return probability


@dataclass(frozen=True, eq=False)
class Fused:
    """One distance for each subject, in the order of their nearest references.

    Attributes:
        subjects: n names, each once.
        distances: (n,) float32.
        nearest: (n,) int64, the position of each subject's nearest reference in what was fused.
    """

    subjects: tuple[str, ...]
    distances: Float32
    nearest: Int64


def fuse(distances: Float32, owners: Sequence[str], rule: FusionRule = "nearest") -> Fused:
    """Make one distance a subject from the distances of its references.

    Args:
        distances: (n,) float32, one for each reference.
        owners: n names: whose reference it is.
        rule: "nearest" takes the smallest distance; "mean_two" the mean of the two smallest, of one if there is one.

    Returns:
        Every subject once. Among references at the same distance the earlier one is the nearest.

    Raises:
        ValueError: The lengths differ.
    """
    if distances.shape != (len(owners),):
        raise ValueError(f"Expected one owner a distance, got {distances.shape} distances and {len(owners)} owners.")
    positions: dict[str, list[int]] = {}
    for position in np.argsort(distances, kind="stable").tolist():
        positions.setdefault(owners[position], []).append(position)
    fused = [float(distances[near[: _COUNTED[rule]]].mean(dtype=np.float64)) for near in positions.values()]
    nearest = np.array([near[0] for near in positions.values()], dtype=np.int64)
    nearest.flags.writeable = False
    return Fused(tuple(positions), frozen_array(np.array(fused, dtype=np.float32)), nearest)


def rank(
    distances: Float32,
    references: Int64,
    owners: Sequence[str],
    head: Head,
    top: int,
    rule: FusionRule = "nearest",
) -> list[Candidate]:
    """The candidate list: the best subjects, ordered by distance, then by name.

    Args:
        distances: (n,) float32, one for each reference.
        references: (n,) int64 ids; among references at the same distance the smaller id speaks for its subject.
        owners: n names: whose reference it is.
        head: Of the model that made the templates.
        top: Longest list wanted, at least 1.
        rule: As for `fuse`.

    Raises:
        ValueError: The lengths differ, or `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"Expected a candidate list of at least 1, got top={top}.")
    if references.shape != distances.shape:
        raise ValueError(f"Expected one reference a distance, got {references.shape} and {distances.shape}.")
    order = np.argsort(references, kind="stable")
    fused = fuse(distances[order], [owners[position] for position in order.tolist()], rule)
    probabilities = head.probability(fused.distances)
    best = sorted(range(len(fused.subjects)), key=lambda one: (fused.distances[one], fused.subjects[one]))[:top]
    return [
        Candidate(
            rank=place,
            subject=fused.subjects[one],
            distance=float(fused.distances[one]),
            probability=float(probabilities[one]),
            reference=int(references[order[fused.nearest[one]]]),
        )
        for place, one in enumerate(best, start=1)
    ]


def decide(candidates: Sequence[Candidate], threshold: float) -> Decision:
    """Match, if the first candidate is at least as probable as the operating threshold; else unknown."""
    return "match" if candidates and candidates[0].probability >= threshold else "unknown"
