"""From templates to an answer: exact distances, the learned head, one distance per subject, the decision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twindex.types import Candidate, Decision, Float32, Int64, frozen_array

Float64 = NDArray[np.float64]

SAME_PHOTO = 1e-3  # two templates nearer than this come from the same bytes
COUNT_TOLERANCE = 1e-9  # keeps a product such as 0.001 x 3,000 from falling below its whole number
_NO_DIRECTION = 1e-6


def distances(probe: Float32, templates: Float32) -> Float32:
    """Euclidean distances of a probe's template from other templates.

    They are summed in float64: the expansion 2 - 2 a.b in float32 would lose distances below about 3e-4.

    Args:
        probe: (dim,) float32.
        templates: (n, dim) float32; n may be 0.

    Returns:
        (n,) float32, not squared.

    Raises:
        ValueError: The shapes do not fit together.
    """
    if probe.ndim != 1 or templates.ndim != 2 or templates.shape[1] != len(probe):
        raise ValueError(f"Expected shapes (dim,) and (n, dim), got {probe.shape} and {templates.shape}.")
    differences = templates.astype(np.float64) - probe.astype(np.float64)
    lengths: Float64 = np.sqrt(np.sum(differences**2, axis=1))
    return lengths.astype(np.float32)


def chord(cosines: Float64) -> Float64:
    """Euclidean distances of unit-length vectors, sqrt(2 - 2 a.b), from their cosines; same shape."""
    lengths: Float64 = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    return lengths


def unit_length(sums: Float64) -> Float64:
    """Sums of templates, (n, dim), scaled to length 1; a sum without a direction becomes zeros."""
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    directions: Float64 = np.where(lengths > _NO_DIRECTION, sums / np.maximum(lengths, _NO_DIRECTION), 0.0)
    return directions


def threshold_at(false_accept_rate: float, impostors: Float32 | Float64) -> float:
    """The largest threshold that accepts at most a given share of impostor attempts.

    An infinite distance stands for a photo without a usable face, which is never accepted.

    Args:
        false_accept_rate: The share allowed, from 0 to 1.
        impostors: (n,) distances of attempts that should be rejected; n at least 1.

    Returns:
        A distance; attempts *below* it are accepted. Infinity if all may be accepted.

    Raises:
        ValueError: There are no attempts, or the rate is out of range.
    """
    if not len(impostors) or not 0 <= false_accept_rate <= 1:
        raise ValueError(f"Expected attempts and a rate from 0 to 1, got {len(impostors)} and {false_accept_rate}.")
    allowed = math.floor(false_accept_rate * len(impostors) + COUNT_TOLERANCE)
    ordered = np.sort(impostors)
    return math.inf if allowed == len(ordered) else float(ordered[allowed])


def share_below(distances: Float64, threshold: float) -> float:
    """The share of attempts that a threshold accepts."""
    return float(np.mean(distances < threshold))


@dataclass(frozen=True)
class Head:
    """The twin's learned head: P(same person) = 1 / (1 + exp(-(weight * distance + bias))).

    Attributes:
        weight: Below 0: a larger distance is less alike.
        bias: Log odds at distance 0.
    """

    weight: float
    bias: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and np.isfinite(self.bias) and self.weight < 0):
            raise ValueError(f"Expected finite numbers and a weight below 0, got {self.weight} and {self.bias}.")

    def probability(self, distance: Float32 | Float64 | float) -> Float64:
        """P(same person) for each distance, float64, same shape; exact at both ends, where exp alone would overflow."""
        probability: Float64 = np.exp(-np.logaddexp(0.0, -self.log_odds(distance)))
        return probability

    def log_odds(self, distance: Float32 | Float64 | float) -> Float64:
        """Natural logarithm of P / (1 - P) for each distance, float64, same shape."""
        odds: Float64 = self.weight * np.asarray(distance, dtype=np.float64) + self.bias
        return odds

    def reach(self, probability: float) -> float:
        """The largest distance at which P(same person) is at least `probability`, from 0 to 2.

        Args:
            probability: Above 0 and up to 1.
        """
        with np.errstate(divide="ignore"):  # log odds of 1 are infinite
            log_odds = np.log(probability) - np.log1p(-probability)
        return float(np.clip((log_odds - self.bias) / self.weight, 0.0, 2.0))


@dataclass(frozen=True, eq=False)
class Fused:
    """One distance for each subject, in the order of their nearest references.

    Attributes:
        subjects: n names, each once.
        distances: (n,) float32.
        nearest: (n,) int64, position of each subject's nearest reference among the templates.
    """

    subjects: tuple[str, ...]
    distances: Float32
    nearest: Int64


def fuse(probe: Float32, templates: Float32, owners: Sequence[str]) -> Fused:
    """One distance per subject: from the probe to the normalised mean of the subject's references, its centroid.

    If a reference is nearer than `SAME_PHOTO`, it is the probe's own photo, and its distance counts alone. If the
    references have no mean direction, the nearest one counts alone.

    Args:
        probe: (dim,) float32, unit length.
        templates: (n, dim) float32, unit length; n may be 0.
        owners: n names, the subject of each reference.

    Returns:
        Every subject once. Among references at the same distance, the first one counts as the nearest.

    Raises:
        ValueError: The lengths differ.
    """
    if len(templates) != len(owners):
        raise ValueError(f"Expected one owner per template, got {len(templates)} templates and {len(owners)} owners.")
    alone = distances(probe, templates)
    positions: dict[str, list[int]] = {}
    for position in np.argsort(alone, kind="stable").tolist():
        positions.setdefault(owners[position], []).append(position)
    fused = [_fused_distance(probe, templates[near], alone[near]) for near in positions.values()]
    nearest = np.array([near[0] for near in positions.values()], dtype=np.int64)
    nearest.flags.writeable = False
    return Fused(tuple(positions), frozen_array(np.array(fused, dtype=np.float32)), nearest)


def _fused_distance(probe: Float32, templates: Float32, alone: Float32) -> float:
    """One distance from a subject's templates and the distances of each, nearest first."""
    if len(templates) == 1 or alone[0] < SAME_PHOTO:
        return float(alone[0])
    mean = templates.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < _NO_DIRECTION:
        return float(alone[0])
    return float(np.linalg.norm(mean / length - probe))


def rank(
    probe: Float32, templates: Float32, references: Int64, owners: Sequence[str], head: Head, top: int
) -> list[Candidate]:
    """The candidate list: the best subjects, ordered by fused distance, then by name.

    Args:
        probe: (dim,) float32, unit length.
        templates: (n, dim) float32, unit length: all references of the subjects in question.
        references: (n,) int64 ids. Among references at the same distance, the one with the smallest id is named.
        owners: n names, the subject of each reference.
        head: The head of the model that made the templates.
        top: Longest list that is wanted, at least 1.

    Raises:
        ValueError: The lengths differ, or `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"Expected a candidate list of at least 1, got top={top}.")
    if len(references) != len(templates):
        raise ValueError(f"Expected one reference per template, got {len(references)} and {len(templates)}.")
    order = np.argsort(references, kind="stable")
    fused = fuse(probe, templates[order], [owners[position] for position in order.tolist()])
    probabilities = head.probability(fused.distances)
    best = sorted(range(len(fused.subjects)), key=lambda place: (fused.distances[place], fused.subjects[place]))[:top]
    return [
        Candidate(
            rank=number,
            subject=fused.subjects[place],
            distance=float(fused.distances[place]),
            probability=float(probabilities[place]),
            reference=int(references[order[fused.nearest[place]]]),
        )
        for number, place in enumerate(best, start=1)
    ]


def posterior(distances: Float32, head: Head, subjects: int, prior: float) -> tuple[Float64, float]:
    """How sure it is that a probe shows each of some subjects, and that it shows nobody enrolled.

    Bayes' rule over the whole gallery (D. J. Balding and P. Donnelly, "Evaluating DNA profile evidence when the suspect
    is identified through a database search", J. Forensic Sci. 1996): with N subjects, the likelihood ratio L(d) of each
    and a share pi of probes whose person is enrolled,

        confidence(i) = (pi / N) L(d_i) / ((1 - pi) + (pi / N) sum_j L(d_j))

    L is the head's odds; the head was fitted with mated and non-mated pairs weighing alike. Subjects that are not given
    count as near as the farthest one given, so that nobody is overrated; the results add up to 1 at most.

    Args:
        distances: (n,) float32, fused distances of the nearest subjects; n may be 0.
        head: Of the model.
        subjects: How many are enrolled, N.
        prior: The share pi, above 0 and below 1.

    Returns:
        (n,) float64 confidences, and that of "unknown".
    """
    if not len(distances):
        return np.empty(0), 1.0
    evidence = head.log_odds(distances) + math.log(prior) - math.log(max(subjects, len(distances)))
    others = max(subjects - len(distances), 0)
    rest = [float(evidence.min()) + math.log(others)] if others else []
    total = float(np.logaddexp.reduce([*evidence.tolist(), *rest, math.log1p(-prior)]))
    confidences: Float64 = np.exp(evidence - total)
    return confidences, math.exp(math.log1p(-prior) - total)


def decide(candidates: Sequence[Candidate], threshold: float) -> Decision:
    """Match if the first candidate's probability reaches the operating threshold, otherwise unknown."""
    return "match" if candidates and candidates[0].probability >= threshold else "unknown"
