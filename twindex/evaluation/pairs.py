"""Verification measured on a list of pairs of photos: the result of `twindex evaluate pairs`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.card import Card
from twindex.evaluation.capture import Captured, capture
from twindex.evaluation.metrics.rates import binomial_interval, rate_interval
from twindex.evaluation.metrics.reliability import Reliability, brier_score, reliability
from twindex.evaluation.metrics.verification import PairScores, decidability, fnmr_at_fmr, fold_accuracies
from twindex.evaluation.pairs_file import Pair
from twindex.scoring import Float64

FMRS = (0.01, 0.001)


@dataclass(frozen=True, eq=False)
class PairsResult:
    """What was measured.

    Attributes:
        pairs: The pairs, in the order of the scores.
        scores: Their distances.
        probabilities: (n,) float64, the head's; 0 where a photo has no usable face.
        card: Of the model.
        photos: How many different photos the pairs show.
        failures: (photo, error code) of the photos without a usable face.
    """

    pairs: tuple[Pair, ...]
    scores: PairScores
    probabilities: Float64
    card: Card
    photos: int
    failures: tuple[tuple[Path, str], ...]

    @property
    def reliability(self) -> Reliability:
        return reliability(self.probabilities, self.scores.mated)

    def to_json(self) -> dict[str, Any]:
        """The result as the command line's contract has it, with intervals beside it."""
        accuracies, scores = fold_accuracies(self.scores), self.scores
        fnmrs = {str(rate): fnmr_at_fmr(scores, rate) for rate in FMRS}
        accepted = self.probabilities >= self.card.verify_threshold
        wrong = int((accepted != scores.mated).sum())
        return {
            "pairs": len(self.pairs),
            "accuracy": float(accuracies.mean()),
            "accuracy_std": float(accuracies.std(ddof=1)) if len(accuracies) > 1 else None,
            "accuracy_interval": list(rate_interval(float(accuracies.mean()), len(self.pairs))),
            "fnmr_at_fmr": fnmrs,
            "fnmr_at_fmr_interval": {
                rate: list(rate_interval(fnmr, len(scores.of_mated))) for rate, fnmr in fnmrs.items()
            },
            "decidability": decidability(scores),
            "ece": self.reliability.expected_calibration_error,
            "brier": brier_score(self.probabilities, scores.mated),
            "failures_to_enrol": len(self.failures),
            "photos": self.photos,
            "folds": len(accuracies),
            "at_verify_threshold": {
                "probability": self.card.verify_threshold,
                "accuracy": 1 - wrong / len(self.pairs),
                "fmr": float(accepted[~scores.mated].mean()),
                "fnmr": float((~accepted[scores.mated]).mean()),
                "accuracy_interval": list(binomial_interval(len(self.pairs) - wrong, len(self.pairs))),
            },
            "model": self.card.fingerprint,
        }

    def worst(self, mated: bool, count: int) -> list[tuple[Pair, float]]:
        """The pairs of one kind that the head misjudges most, with their probability, worst first."""
        order = np.argsort(self.probabilities if mated else -self.probabilities, kind="stable")
        chosen = [number for number in order.tolist() if self.scores.mated[number] == mated][:count]
        return [(self.pairs[number], float(self.probabilities[number])) for number in chosen]


def measure_pairs(
    pairs: Sequence[Pair],
    reader: FaceReader,
    embedder: Embedder,
    listener: Callable[[int], None],
    *,
    pre_cropped: bool = False,
) -> PairsResult:
    """Embed the photos of the pairs, each once, and compare the pairs.

    Args:
        pairs: Mated and non-mated pairs.
        reader: Finds and aligns faces.
        embedder: The model.
        listener: Called after each batch with the number of its photos.
        pre_cropped: Whether each photo is already one aligned face.

    Raises:
        ValueError: One kind of pair is missing.
    """
    captured = capture(photos_of(pairs), reader, embedder, listener, pre_cropped=pre_cropped)
    distances = _distances(pairs, captured)
    scores = PairScores(
        distances, np.array([pair.mated for pair in pairs]), np.array([pair.fold for pair in pairs], np.int64)
    )
    probabilities = embedder.card.head.probability(distances)
    return PairsResult(tuple(pairs), scores, probabilities, embedder.card, len(captured.paths), captured.failures)


def photos_of(pairs: Sequence[Pair]) -> list[Path]:
    """All photos of some pairs, each once, in name order."""
    return sorted({photo for pair in pairs for photo in (pair.first, pair.second)})


def _distances(pairs: Sequence[Pair], captured: Captured) -> Float64:
    """(pairs,) float64; infinity if a photo of the pair has no usable face."""
    numbers = {path: number for number, path in enumerate(captured.paths)}
    first = np.array([numbers[pair.first] for pair in pairs])
    second = np.array([numbers[pair.second] for pair in pairs])
    templates = captured.templates.astype(np.float64)
    distances = np.linalg.norm(templates[first] - templates[second], axis=1)
    comparable = captured.usable[first] & captured.usable[second]
    return np.where(comparable, distances, np.inf)
