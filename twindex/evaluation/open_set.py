"""Open-set identification measured on folders of photos: the result of `twindex evaluate search`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.model.card import Card
from twindex.errors import UsageError
from twindex.evaluation.metrics.fusion import Rule, subject_distances
from twindex.evaluation.metrics.identification import STRANGER, Searches, nested_sizes, searches
from twindex.evaluation.metrics.rates import rate_interval
from twindex.evaluation.open_set_photos import CapturedOpenSet
from twindex.scoring import Float64
from twindex.types import Int64

Flags = NDArray[np.bool_]
FPIRS = (0.01, 0.003)
CMC_RANKS = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What was measured, on the whole gallery and on random parts of it.

    Attributes:
        by_size: The outcome for each number of subjects; the last is the whole gallery.
        references: References that could be enrolled.
        card: Of the model.
        rule: How the references of a subject were combined.
        failures: (photo, error code) of every photo without a usable face, enrolled or probe.
        worst: Probes for which another person came first, and strangers; nearest first.
    """

    by_size: dict[int, Searches]
    references: int
    card: Card
    rule: Rule
    failures: tuple[tuple[Path, str], ...]
    worst: tuple["WrongAnswer", ...]

    @property
    def subjects(self) -> int:
        return max(self.by_size)

    @property
    def whole(self) -> Searches:
        return self.by_size[self.subjects]

    def to_json(self) -> dict[str, Any]:
        """The result as the command line's contract has it, with intervals and sizes beside it."""
        whole = self.whole
        return {
            "gallery_size": self.references,
            "rank1": whole.rank_rate(1),
            "fnir_at_fpir": _fnirs(whole),
            "failures_to_enrol": len(self.failures),
            "subjects": self.subjects,
            "probes": len(whole.ranks),
            "strangers": len(whole.strangers),
            "rank1_interval": list(rate_interval(whole.rank_rate(1), len(whole.ranks))),
            "cmc": {str(rank): whole.rank_rate(rank) for rank in CMC_RANKS},
            "by_size": {
                str(size): {"rank1": outcome.rank_rate(1), "fnir_at_fpir": _fnirs(outcome)}
                for size, outcome in self.by_size.items()
            },
            "fusion": self.rule,
            "model": self.card.fingerprint,
        }


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer.

    Attributes:
        probe: The photo searched.
        person: Who it shows, or None for a stranger.
        first: An enrolled photo of the subject that came first.
        distance: Between the probe and that subject.
    """

    probe: Path
    person: str | None
    first: Path
    distance: float


def measure_search(captured: CapturedOpenSet, card: Card, *, rule: Rule = "centroid", seed: int = 1) -> SearchResult:
    """Enrol in memory and search exactly, as a gallery with an exact index would.

    Args:
        captured: The gallery, the mated and the non-mated probes.
        card: Of the model that made the templates.
        rule: How the references of a subject combine.
        seed: For the subjects of smaller galleries.

    Raises:
        UsageError: Nobody can be enrolled.
    """
    if not captured.enrolled.usable.any():
        raise UsageError("None of the photos to enrol has a usable face.")
    distances = _all_distances(captured, rule)
    return SearchResult(
        by_size=_by_size(distances, captured.photos.truth, captured.usable, seed),
        references=int(captured.enrolled.usable.sum()),
        card=card,
        rule=rule,
        failures=captured.failures,
        worst=_worst_answers(captured, distances),
    )


def _all_distances(captured: CapturedOpenSet, rule: Rule) -> Float64:
    """(asked, subjects) float64; infinity in the columns of subjects without a usable photo."""
    usable, photos = captured.enrolled.usable, captured.photos
    present, numbered = np.unique(photos.owners[usable], return_inverse=True)
    templates = captured.templates
    distances = np.full((len(templates), len(photos.names)), np.inf)
    distances[:, present] = subject_distances(
        templates, captured.enrolled.templates[usable], numbered.astype(np.int64), rule
    )
    return distances


def _by_size(distances: Float64, truth: Int64, usable: Flags, seed: int) -> dict[int, Searches]:
    """The outcome for nested random sets of subjects: with the probes of those subjects, and all strangers."""
    shuffled = np.random.default_rng(seed).permutation(distances.shape[1])
    outcomes = {}
    for size in nested_sizes(distances.shape[1]):
        chosen = np.sort(shuffled[:size])
        place = np.full(distances.shape[1] + 1, STRANGER)  # the last place is for strangers
        place[chosen] = np.arange(size)
        asked = (truth == STRANGER) | (place[truth] != STRANGER)
        if (truth[asked] != STRANGER).any():
            part = distances if size == distances.shape[1] else distances[np.ix_(asked, chosen)]
            outcomes[size] = searches(part, place[truth[asked]], usable[asked])
    return outcomes


def _worst_answers(captured: CapturedOpenSet, distances: Float64) -> tuple[WrongAnswer, ...]:
    """Mated probes for which another person came first, and all strangers; nearest first."""
    photos, shown, truth = captured.photos, captured.shown(), captured.photos.truth
    names, asked = photos.names, photos.asked
    first, nearest = distances.argmin(axis=1), distances.min(axis=1)
    wrong = captured.usable & (first != truth) & np.isfinite(nearest)
    order = [int(row) for row in np.argsort(nearest, kind="stable") if wrong[row]]
    return tuple(
        WrongAnswer(
            probe=asked[row][1],
            person=None if truth[row] == STRANGER else asked[row][0],
            first=shown[names[first[row]]],
            distance=float(nearest[row]),
        )
        for row in order
    )


def _fnirs(outcome: Searches) -> dict[str, float]:
    return {str(rate): outcome.fnir_at_fpir(rate) for rate in FPIRS}
