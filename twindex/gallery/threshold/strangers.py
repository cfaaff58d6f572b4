"""Scores of strangers against a gallery: people who are not enrolled, or each subject left out in turn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twindex.errors import UsageError
from twindex.evaluation.metrics.rates import Interval, binomial_interval
from twindex.gallery.threshold.centroids import Centroids
from twindex.gallery.threshold.outcome import Method, Resemblance
from twindex.scoring import Float64, Head
from twindex.types import Float32, Int64

MOST_SUBJECTS = 5_000  # subjects left out in turn
MOST_PHOTOS = 10  # references of each of them
REPEATABILITY = 1e-4  # how far a distance may differ if the same photos are embedded in another batch
_SEED = 1  # chooses the subjects of a very large gallery


@dataclass(frozen=True, eq=False)
class StrangerScores:
    """The strangers' best candidates; the three lists have one entry for each stranger.

    Attributes:
        method: Where the strangers came from.
        names: Who they are.
        scores: (photos,) float64 each: the probability of each photo's best candidate.
        subjects: (photos,) int64 each: that candidate's position among the gallery's subjects.
    """

    method: Method
    names: list[str]
    scores: list[Float64]
    subjects: list[Int64]

    def above(self, threshold: float, subject_names: tuple[str, ...]) -> tuple[Resemblance, ...]:
        """The strangers whose best photo reaches a threshold, nearest first."""
        best = [int(scores.argmax()) for scores in self.scores]
        resemblances = [
            Resemblance(name, subject_names[int(subjects[photo])], float(scores[photo]))
            for name, scores, subjects, photo in zip(self.names, self.scores, self.subjects, best, strict=True)
        ]
        near = [resemblance for resemblance in resemblances if resemblance.probability >= threshold]
        return tuple(sorted(near, key=lambda resemblance: -resemblance.probability))

    def nearest(self, threshold: float) -> list[str]:
        """The strangers who would reach a threshold one step lower: the ones who keep it from being lower."""
        reach = np.nextafter(threshold, 0)
        return [name for name, scores in zip(self.names, self.scores, strict=True) if scores.max() >= reach]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """References searched as if they had not been enrolled; references of one subject lie together.

    Attributes:
        owners: (m,) int64, their subjects' positions.
        others: (m,) float64, distance to the nearest other subject; infinity without one.
        nearest: (m,) int64, that subject's position.
        own: (m,) float64, distance to the centroid of the own subject's other references; infinity without any.
    """

    owners: Int64
    others: Float64
    nearest: Int64
    own: Float64

    @property
    def mated(self) -> int:
        """How many of them could be found, because their subject has another reference."""
        return int(np.isfinite(self.own).sum())

    def fnir(self, head: Head, threshold: float) -> tuple[float | None, Interval | None]:
        """Share of references whose own subject does not come first above the threshold, with its 95 % interval."""
        mated = np.isfinite(self.own)
        if not mated.any():
            return None, None
        found = (self.own[mated] < self.others[mated]) & (head.probability(self.own[mated]) >= threshold)
        return float(1 - found.mean()), binomial_interval(int((~found).sum()), len(found))


def leave_out(centroids: Centroids) -> LeftOut:
    """Search up to `MOST_PHOTOS` references of up to `MOST_SUBJECTS` subjects as if they had not been enrolled."""
    random = np.random.default_rng(_SEED)
    subjects = random.permutation(len(centroids.names))[:MOST_SUBJECTS]
    positions = np.flatnonzero(np.isin(centroids.owners, subjects))
    ordered = positions[np.argsort(centroids.owners[positions], kind="stable")]
    starts = np.searchsorted(centroids.owners[ordered], centroids.owners[ordered], side="left")
    chosen = ordered[np.arange(len(ordered)) - starts < MOST_PHOTOS]
    others, nearest, own = centroids.left_out(chosen)
    return LeftOut(centroids.owners[chosen], others, nearest, own)


def score_strangers(head: Head, centroids: Centroids, strangers: Mapping[str, Float32]) -> StrangerScores:
    """Search the photos of people who are not enrolled.

    Args:
        head: Of the gallery's model.
        centroids: The gallery.
        strangers: For each person (photos, dim) float32 templates.

    Raises:
        UsageError: There are none, or a photo of theirs is enrolled.
    """
    if not strangers:
        raise UsageError("No photo of the strangers has a usable face; give sharper or larger ones.")
    for name, templates in strangers.items():
        if centroids.holds(templates):
            raise UsageError(f"A photo of {name!r} among the strangers is enrolled; strangers must not be.")
    distances, subjects = centroids.nearest(np.concatenate(list(strangers.values())))
    ends = np.cumsum([len(templates) for templates in strangers.values()])[:-1]
    scores = np.split(_highest_probability(head, distances), ends)
    return StrangerScores("non-mated", list(strangers), scores, np.split(subjects, ends))


def score_left_out(head: Head, centroids: Centroids, left_out: LeftOut) -> StrangerScores:
    """Take each subject as a stranger to all the others.

    Raises:
        UsageError: Only one person is enrolled.
    """
    if len(centroids.names) < 2:
        raise UsageError(
            "Only one person is enrolled, so nobody can be left out: enrol a second one, or name a folder of strangers "
            "with --non-mated."
        )
    owners, starts = np.unique(left_out.owners, return_index=True)
    names = [centroids.names[owner] for owner in owners.tolist()]
    scores = np.split(_highest_probability(head, left_out.others), starts[1:])
    return StrangerScores("leave-one-subject-out", names, scores, np.split(left_out.nearest, starts[1:]))


def _highest_probability(head: Head, distances: Float64) -> Float64:
    """The highest probability that another search may give, so that nobody measured here passes by rounding."""
    return head.probability(np.maximum(distances - REPEATABILITY, 0))
