"""Set the gallery's operating threshold for a target FPIR, from the templates of strangers."""

from collections.abc import Mapping
from dataclasses import replace

from twindex.errors import ModelMismatchError, UsageError
from twindex.evaluation.metrics.conformal import OperatingPoint, operating_point
from twindex.gallery.service import Gallery
from twindex.gallery.threshold.centroids import load_centroids
from twindex.gallery.threshold.outcome import Calibration, StrangerPhotos
from twindex.gallery.threshold.strangers import LeftOut, StrangerScores, leave_out, score_left_out, score_strangers
from twindex.scoring import Head
from twindex.storage import StoredThreshold
from twindex.types import Float32

_SAME_PHOTO = 1e-3  # single-precision cosines cannot tell two templates apart that are nearer
_ENOUGH_PHOTOS = 10  # with so many left out and none found, the threshold is useless; two photos may just differ
SOURCE = "source"  # the entry of a stored report that says how to find the strangers again


def calibrate(
    gallery: Gallery,
    fingerprint: str,
    target_fpir: float,
    strangers: Mapping[str, Float32] | None = None,
    *,
    source: StrangerPhotos | None = None,
) -> Calibration:
    """Find the threshold and keep it in the gallery.

    Args:
        gallery: Open for writing.
        fingerprint: The model that made the strangers' templates; it must still be the active one.
        target_fpir: Share of strangers that may be called somebody, between 0 and 1.
        strangers: For each person not enrolled (photos, dim) float32 templates. None leaves each subject of the gallery
            out in turn instead.
        source: Where the strangers' photos are; kept with the threshold.

    Raises:
        UsageError: Nobody is enrolled, there is nobody to measure on, a stranger's photo is enrolled, or strangers come
            so near that no threshold would let anybody match. The threshold stays as it was.
        ModelMismatchError: Another model is active now.
    """
    if gallery.active().fingerprint != fingerprint:
        raise ModelMismatchError("The gallery changed its model meanwhile; run `twindex calibrate` again.")
    centroids = load_centroids(gallery.store, fingerprint)
    if not centroids.names:
        raise UsageError("The gallery is empty: there is nothing to set a threshold for.")
    card = gallery.embedder(fingerprint).card
    head = card.head
    left_out = leave_out(centroids)
    if strangers is None:
        scores = score_left_out(head, centroids, left_out)
    else:
        scores = score_strangers(head, centroids, strangers)
    people = gallery.subject_count()
    default = card.threshold_for(people)
    point = operating_point(scores.scores, target_fpir, mutual=strangers is None)
    _refuse_useless(point, default, scores, left_out, head)
    if not point.enough and point.threshold < default:
        # A few strangers show who must not match, not who may: if they resemble nobody, everybody would pass.
        point = replace(point, threshold=default, fpir_interval=(0.0, point.fpir_interval[1]))
    fnir, fnir_interval = left_out.fnir(head, point.threshold)
    calibration = Calibration(
        point=point,
        default=default,
        above_default=scores.above(default, centroids.names),
        target_fpir=target_fpir,
        fnir=fnir,
        fnir_interval=fnir_interval,
        gallery_size=len(centroids.owners),
        subjects=people,
        method=scores.method,
        fingerprint=fingerprint,
    )
    gallery.store.set_threshold(_stored(calibration, source))
    return calibration


def _stored(calibration: Calibration, source: StrangerPhotos | None) -> StoredThreshold:
    return StoredThreshold(
        probability=calibration.threshold,
        target_fpir=calibration.target_fpir,
        gallery_size=calibration.gallery_size,
        fingerprint=calibration.fingerprint,
        method=calibration.method,
        report={**calibration.to_json(), SOURCE: {} if source is None else source.to_json()},
    )


def _refuse_useless(
    point: OperatingPoint, default: float, scores: StrangerScores, left_out: LeftOut, head: Head
) -> None:
    """Refuse a threshold that nobody would reach, and name the strangers who cause it.

    Raises:
        UsageError: It lies above the probability of the same photo, or the default finds enrolled photos and it finds
            none.
    """
    by_default, _ = left_out.fnir(head, default)
    missed, _ = left_out.fnir(head, point.threshold)
    default_finds = by_default is not None and by_default < 1 and left_out.mated >= _ENOUGH_PHOTOS
    if point.threshold > float(head.probability(_SAME_PHOTO)):
        where = "above the probability of the very same photo"
    elif missed == 1 and default_finds:
        where = "where no enrolled photo is found"
    else:
        return
    nearest = scores.nearest(point.threshold)
    remedy = (
        "take enrolled people and copies of enrolled photos out of the strangers"
        if scores.method == "non-mated"
        else "merge subjects that are one person with `twindex subjects merge`, or erase what was enrolled wrongly"
    )
    raise UsageError(
        f"Nobody could match: to keep the rate the threshold would have to lie {where}, "
        f"because {', '.join(map(repr, nearest[:3]))} {'come' if len(nearest) > 1 else 'comes'} that near to "
        f"somebody enrolled. Nothing was changed; {remedy}, or allow a higher --target-fpir."
    )
