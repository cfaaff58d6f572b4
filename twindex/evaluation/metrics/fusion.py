"""Ways to combine a subject's references into one distance."""

from typing import Literal

import numpy as np

from twindex.scoring import Float64, chord, unit_length
from twindex.types import Float32, Int64

Rule = Literal["nearest", "mean_two", "centroid"]
RULES: tuple[Rule, ...] = ("nearest", "mean_two", "centroid")
_AT_ONCE = 256


def subject_distances(probes: Float32, templates: Float32, owners: Int64, rule: Rule = "centroid") -> Float64:
    """Distance of every probe to every subject.

    Args:
        probes: (m, dim) float32, unit length.
        templates: (n, dim) float32, unit length; the references'.
        owners: (n,) int64, their subjects, numbered from 0 without gaps.
        rule: "nearest" takes a subject's nearest reference; "mean_two" the mean distance of the nearest two, or of the
            only one; "centroid" the distance to the normalised mean of the references.

    Returns:
        (m, subjects) float64, Euclidean, not squared.
    """
    order = np.argsort(owners, kind="stable")
    starts = np.searchsorted(owners[order], np.arange(int(owners.max()) + 1))
    sorted_templates = templates[order].astype(np.float64)
    if rule == "centroid":
        sorted_templates = unit_length(np.add.reduceat(sorted_templates, starts, axis=0))
    pieces = []
    for start in range(0, len(probes), _AT_ONCE):
        cosines = probes[start : start + _AT_ONCE].astype(np.float64) @ sorted_templates.T
        distances = chord(cosines)
        if rule == "nearest":
            distances = np.minimum.reduceat(distances, starts, axis=1)
        elif rule == "mean_two":
            distances = _mean_two(distances, starts)
        pieces.append(distances)
    return np.concatenate(pieces) if pieces else np.empty((0, len(starts)))


def _mean_two(distances: Float64, starts: Int64) -> Float64:
    """Mean of the two smallest values in each run of columns."""
    fused = np.empty((len(distances), len(starts)))
    for subject, run in enumerate(np.split(distances, starts[1:], axis=1)):
        nearest = run if run.shape[1] <= 2 else np.partition(run, 1, axis=1)[:, :2]
        fused[:, subject] = nearest.mean(axis=1)
    return fused
