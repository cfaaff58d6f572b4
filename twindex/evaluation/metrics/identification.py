"""Open-set 1:N identification: CMC, and FNIR against FPIR (ISO/IEC 19795-1, NIST FRTE 1:N)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twindex.scoring import Float64, share_below, threshold_at
from twindex.types import Int64

STRANGER = -1
_SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)  # gallery sizes that are reported


@dataclass(frozen=True, eq=False)
class Searches:
    """The outcome of searching a gallery for probes.

    Attributes:
        ranks: (mated probes,) float64: the rank of the right subject in the candidate list, from 1; infinity for
            probes without a usable face and for subjects that could not be enrolled.
        own: (mated probes,) float64, distance to the right subject; infinity for the same probes.
        strangers: (non-mated probes,) float64, distance to the first candidate; infinity without a usable face.
    """

    ranks: Float64
    own: Float64
    strangers: Float64

    def rank_rate(self, rank: int) -> float:
        """Share of mated probes whose subject is among the first `rank` candidates, threshold or not."""
        return float(np.mean(self.ranks <= rank))

    def fpir(self, threshold: float) -> float:
        """Share of non-mated probes with a candidate below the threshold."""
        return share_below(self.strangers, threshold)

    def fnir(self, threshold: float) -> float:
        """Share of mated probes that are not found at rank 1 below the threshold."""
        return 1 - share_below(np.where(self.ranks == 1, self.own, math.inf), threshold)

    def fnir_at_fpir(self, fpir: float) -> float:
        """FNIR where at most a share `fpir` of the non-mated probes is called somebody."""
        return self.fnir(threshold_at(fpir, self.strangers))

    def trade_off(self) -> tuple[Float64, Float64]:
        """FPIR and FNIR with each stranger's distance as threshold, then with all accepted; (strangers + 1,) each."""
        thresholds = np.append(np.sort(self.strangers), math.inf)
        found = np.sort(np.where(self.ranks == 1, self.own, math.inf))
        fpirs = np.searchsorted(thresholds[:-1], thresholds, side="left") / len(self.strangers)
        return fpirs, 1 - np.searchsorted(found, thresholds, side="left") / len(found)


def searches(distances: Float64, subjects: Int64, usable: NDArray[np.bool_]) -> Searches:
    """Ranks and distances from the distances of probes to subjects.

    Args:
        distances: (m, subjects) float64; infinity in the column of a subject without a reference.
        subjects: (m,) int64, the right subject's column, or `STRANGER`.
        usable: (m,) bool; the rows of other probes are ignored.

    Raises:
        ValueError: The lengths differ.
    """
    if not len(distances) == len(subjects) == len(usable):
        raise ValueError("Expected as many rows of distances as subjects and flags.")
    mated = subjects != STRANGER
    own = np.full(mated.sum(), math.inf)
    ranks = np.full(mated.sum(), math.inf)
    seen = usable[mated]
    rows, columns = distances[mated][seen], subjects[mated][seen]
    own[seen] = rows[np.arange(len(rows)), columns]
    # Rank others at the same distance first: a tie is not a success.
    nearer = (rows <= own[seen][:, None]).sum(axis=1)
    ranks[seen] = np.where(np.isfinite(own[seen]), nearer, math.inf)
    strangers = np.full((~mated).sum(), math.inf)
    known = usable[~mated]
    strangers[known] = distances[~mated][known].min(axis=1, initial=math.inf)
    return Searches(ranks, own, strangers)


def nested_sizes(subjects: int) -> list[int]:
    """The gallery sizes to report: all below the number of subjects, then that number."""
    return [size for size in _SIZES if size < subjects] + [subjects]
