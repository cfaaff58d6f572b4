"""The gallery's operating threshold: setting it for a target FPIR, and telling when it no longer fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from twindex.errors import ModelMismatchError, UsageError
from twindex.evaluation.metrics.conformal import OperatingPoint, operating_point
from twindex.evaluation.metrics.rates import Interval, binomial_interval
from twindex.gallery.service import Gallery
from twindex.gallery.threshold.centroids import Centroids, load_centroids
from twindex.scoring import Float64, Head
from twindex.storage import StoredThreshold
from twindex.types import Float32, Int64

Method = Literal["non-mated", "leave-one-subject-out"]
MOST_SUBJECTS = 5_000  # of the gallery, that are left out in turn
MOST_PHOTOS = 10  # of each of them
REPEATABILITY = 1e-4  # by which a distance may differ when the same photos are embedded in another batch
_NO_REACH = 1e-3  # distance within which single-precision cosines cannot tell two templates apart
_ENOUGH_PHOTOS = 10  # left out, none of which is found: a threshold that is of no use, not two photos that differ
_SEED = 1  # of the subjects that are looked at, where there are very many
SOURCE = "source"  # where a stored report keeps how to find the strangers again


@dataclass(frozen=True)
class Resemblance:
    """A stranger who comes above the model's default threshold.

    Attributes:
        stranger: Their name; where subjects are left out in turn, the subject's.
        subject: The enrolled person they come nearest to.
        probability: By the best of their photos.
    """

    stranger: str
    subject: str
    probability: float


@dataclass(frozen=True)
class Calibration:
    """An operating threshold and what was measured with it.

    Attributes:
        point: The threshold, with what is known of its FPIR.
        default: The model's default threshold for this number of people. Too few strangers never lead below it.
        above_default: The strangers who come above that, nearest first.
        target_fpir: What was asked for.
        fnir: Share of references that, left out, are not found at rank 1 above the threshold; None where no subject has
            two references.
        fnir_interval: Its 95 % interval, or None.
        gallery_size: References.
        subjects: People enrolled.
        method: Where the strangers came from.
        fingerprint: The model it holds for.
    """

    point: OperatingPoint
    default: float
    above_default: tuple[Resemblance, ...]
    target_fpir: float
    fnir: float | None
    fnir_interval: Interval | None
    gallery_size: int
    subjects: int
    method: Method
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """As the command line's contract has it, with the intervals beside it."""
        return {
            "threshold": self.point.threshold,
            "target_fpir": self.target_fpir,
            "fpir_bound": self.point.fpir_bound,
            "fpir_interval": list(self.point.fpir_interval),
            "fnir": self.fnir,
            "fnir_interval": None if self.fnir_interval is None else list(self.fnir_interval),
            "gallery_size": self.gallery_size,
            "subjects": self.subjects,
            "method": self.method,
            "strangers": self.point.strangers,
            "enough": self.point.enough,
            "default": self.default,
            "model": self.fingerprint,
        }


def calibrate(
    gallery: Gallery,
    fingerprint: str,
    target_fpir: float,
    strangers: Mapping[str, Float32] | None = None,
    *,
    source: Mapping[str, Any] | None = None,
) -> Calibration:
    """Find the threshold and keep it in the gallery.

    Args:
        gallery: Open for writing.
        fingerprint: The model that made the strangers' templates; it has to be the active one still.
        target_fpir: Share of strangers that may be called somebody, between 0 and 1.
        strangers: For each person not enrolled (photos, dim) templates; None leaves each subject
            of the gallery out in turn instead.
        source: How to find the strangers' photos again; kept under `SOURCE`.

    Raises:
        UsageError: There is nobody enrolled, nobody to measure on, a stranger's photo is enrolled, or strangers come so
            near that no threshold would let anybody match. The threshold is as it was.
        ModelMismatchError: Another model answers now.
    """
    if gallery.active().fingerprint != fingerprint:
        raise ModelMismatchError("The gallery changed its model meanwhile; run `twindex calibrate` again.")
    centroids = load_centroids(gallery.store, fingerprint)
    if not centroids.names:
        raise UsageError("The gallery is empty: there is nothing to set a threshold for.")
    card = gallery.embedder(fingerprint).card
    head = card.head
    chosen = _chosen_references(centroids)
    others, nearest, own = centroids.left_out(chosen)
    if strangers is None and len(centroids.names) < 2:
        raise UsageError("A lonely person has no strangers: enrol a second one, or name a folder with --non-mated.")
    if strangers is not None and not strangers:
        raise UsageError("No photo of the strangers has a usable face; give sharper or larger ones.")
    method: Method = "leave-one-subject-out" if strangers is None else "non-mated"
    if strangers is None:
        scores, subjects = _left_out_scores(head, others, nearest, centroids.owners[chosen])
        names = [centroids.names[owner] for owner in np.unique(centroids.owners[chosen]).tolist()]
    else:
        scores, subjects = _strangers_scores(head, centroids, strangers)
        names = list(strangers)
    point = operating_point(scores, target_fpir, mutual=strangers is None)
    people = gallery.subject_count()
    default = card.threshold_for(people)
    by_default, _ = _fnir(head, default, own, others)
    missed, _ = _fnir(head, point.threshold, own, others)
    above_same_photo = point.threshold > float(head.probability(_NO_REACH))
    found_by_default = by_default is not None and by_default < 1 and int(np.isfinite(own).sum()) >= _ENOUGH_PHOTOS
    if above_same_photo or (missed == 1 and found_by_default):
        where = (
            "above the probability of the very same photo" if above_same_photo else "where no enrolled photo is found"
        )
        raise UsageError(_nobody_matches(where, point, scores, names, method))
    if not point.enough and point.threshold < default:
        # A few strangers tell who must not match, not who may: two who resemble nobody would let everybody pass.
        point = replace(point, threshold=default, fpir_interval=(0.0, point.fpir_interval[1]))
    above = _above(default, names, scores, [[centroids.names[one] for one in those] for those in subjects])
    fnir, interval = _fnir(head, point.threshold, own, others)
    found = Calibration(
        point,
        default,
        above,
        target_fpir,
        fnir,
        interval,
        len(centroids.owners),
        people,
        method,
        fingerprint,
    )
    gallery.store.set_threshold(
        StoredThreshold(
            point.threshold,
            target_fpir,
            found.gallery_size,
            fingerprint,
            method,
            {**found.to_json(), SOURCE: dict(source or {})},
        )
    )
    return found


def _chosen_references(centroids: Centroids) -> Int64:
    """Positions of up to `MOST_PHOTOS` references of up to `MOST_SUBJECTS` subjects, by subject."""
    random = np.random.default_rng(_SEED)
    subjects = random.permutation(len(centroids.names))[:MOST_SUBJECTS]
    positions = np.flatnonzero(np.isin(centroids.owners, subjects))
    ordered = positions[np.argsort(centroids.owners[positions], kind="stable")]
    starts = np.searchsorted(centroids.owners[ordered], centroids.owners[ordered], side="left")
    return ordered[np.arange(len(ordered)) - starts < MOST_PHOTOS]


def _strangers_scores(
    head: Head, centroids: Centroids, strangers: Mapping[str, Float32]
) -> tuple[list[Float64], list[Int64]]:
    """For each stranger the photos' best probabilities against everybody enrolled, and whose they are."""
    for name, templates in strangers.items():
        if centroids.holds(templates):
            raise UsageError(f"A photo of {name!r} among the strangers is enrolled; strangers must not be.")
    distances, subjects = centroids.nearest(np.concatenate(list(strangers.values())))
    ends = np.cumsum([len(templates) for templates in strangers.values()])[:-1]
    return np.split(_probability_again(head, distances), ends), np.split(subjects, ends)


def _probability_again(head: Head, distances: Float64) -> Float64:
    """The highest probability that asking again may give, so that nobody measured passes by rounding."""
    return head.probability(np.maximum(distances - REPEATABILITY, 0))


def _left_out_scores(head: Head, others: Float64, nearest: Int64, owners: Int64) -> tuple[list[Float64], list[Int64]]:
    """For each subject its photos' best probabilities against all others, and whose they are; photos lie together."""
    _, starts = np.unique(owners, return_index=True)
    return np.split(_probability_again(head, others), starts[1:]), np.split(nearest, starts[1:])


def _above(
    default: float, names: Sequence[str], scores: Sequence[Float64], subjects: Sequence[Sequence[str]]
) -> tuple[Resemblance, ...]:
    """Each stranger's best photo, of those who reach a threshold."""
    best = [int(one.argmax()) for one in scores]
    everybody = [
        Resemblance(name, whose[place], float(one[place]))
        for name, one, whose, place in zip(names, scores, subjects, best, strict=True)
    ]
    return tuple(sorted((one for one in everybody if one.probability >= default), key=lambda one: -one.probability))


def _nobody_matches(where: str, point: OperatingPoint, scores: list[Float64], names: list[str], method: Method) -> str:
    """Why a threshold came out that nobody reaches, and what to do about it."""
    nearest = [name for name, one in zip(names, scores, strict=True) if one.max() >= np.nextafter(point.threshold, 0)]
    remedy = (
        "take whoever is enrolled, and copies of enrolled photos, out of the strangers"
        if method == "non-mated"
        else "merge subjects that are one person with `twindex subjects merge`, or erase what was enrolled wrongly"
    )
    return (
        f"Nobody could match: to keep the rate the threshold would have to lie {where}, "
        f"because {', '.join(map(repr, nearest[:3]))} {'come' if len(nearest) > 1 else 'comes'} that near to "
        f"somebody enrolled. Nothing was changed; {remedy}, or allow a higher --target-fpir."
    )


def _fnir(head: Head, threshold: float, own: Float64, others: Float64) -> tuple[float | None, Interval | None]:
    """Share of left-out references whose own subject does not come first above the threshold."""
    mated = np.isfinite(own)
    if not mated.any():
        return None, None
    found = (own[mated] < others[mated]) & (head.probability(own[mated]) >= threshold)
    return float(1 - found.mean()), binomial_interval(int((~found).sum()), len(found))
