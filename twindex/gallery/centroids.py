"""Every subject's centroid in memory, for measuring against the whole gallery at once."""

from dataclasses import dataclass

import numpy as np

from twindex.scoring import SAME_PHOTO, Float64
from twindex.storage import Store
from twindex.types import Float32, Int64

_BATCH = 10_000
_COLUMNS = 20_000


@dataclass(frozen=True, eq=False)
class Centroids:
    """All references of a model, and their sums by subject.

    Attributes:
        names: The subjects.
        templates: (n, dim) float32, unit length.
        owners: (n,) int64, positions in `names`.
        sums: (subjects, dim) float64.
    """

    names: tuple[str, ...]
    templates: Float32
    owners: Int64
    sums: Float64

    def nearest(self, probes: Float32) -> Float64:
        """Distance of each probe to the nearest subject.

        Args:
            probes: (m, dim) float32, unit length.

        Returns:
            (m,) float64.
        """
        return self._nearest_other(probes, np.full(len(probes), -1, np.int64))

    def holds(self, probes: Float32) -> bool:
        """Whether any of the probes, (m, dim) float32, is a photo that is enrolled."""
        blocks = (self.templates[start : start + _COLUMNS] for start in range(0, len(self.templates), _COLUMNS))
        return any(bool(((2 - 2 * (probes @ block.T)) < SAME_PHOTO).any()) for block in blocks)

    def left_out(self, chosen: Int64) -> tuple[Float64, Float64]:
        """Search references as if they had not been enrolled.

        Args:
            chosen: (m,) int64, positions of references.

        Returns:
            Distances to the nearest other subject, and to the own subject's other references' centroid; (m,) float64
            each, infinity where there is none.
        """
        probes, subjects = self.templates[chosen], self.owners[chosen]
        rest = self.sums[subjects] - probes
        lengths = np.linalg.norm(rest, axis=1)
        alone = np.bincount(self.owners, minlength=len(self.names))[subjects] == 1
        cosines = np.einsum("md,md->m", rest, probes) / np.where(alone, 1, lengths)
        own = np.where(alone, np.inf, np.sqrt(np.maximum(2 - 2 * cosines, 0)))
        return self._nearest_other(probes, subjects), own

    def _nearest_other(self, probes: Float32, excluded: Int64) -> Float64:
        """Distance to the nearest subject other than an excluded one (-1: none)."""
        best = np.full(len(probes), -np.inf)
        for start in range(0, len(self.names), _COLUMNS):
            sums = self.sums[start : start + _COLUMNS]
            cosines = probes @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32).T
            inside = (excluded >= start) & (excluded < start + len(sums))
            cosines[np.flatnonzero(inside), excluded[inside] - start] = -np.inf
            best = np.maximum(best, cosines.max(axis=1))
        distances: Float64 = np.where(np.isfinite(best), np.sqrt(np.maximum(2 - 2 * best, 0)), np.inf)
        return distances


def load_centroids(store: Store, fingerprint: str) -> Centroids:
    """Read all templates of a model."""
    names: dict[str, int] = {}
    owners, pieces = [], []
    for references, vectors in store.references.batches(fingerprint, _BATCH):
        known = store.references.owners(references.tolist())
        # Those erased meanwhile have no owner.
        kept = [place for place, reference in enumerate(references.tolist()) if reference in known]
        pieces.append(vectors[kept])
        owners += [names.setdefault(known[int(references[place])], len(names)) for place in kept]
    if not owners:
        return Centroids((), np.empty((0, 0), np.float32), np.empty(0, np.int64), np.empty((0, 0)))
    templates, numbered = np.concatenate(pieces), np.array(owners, np.int64)
    sums = np.zeros((len(names), templates.shape[1]))
    np.add.at(sums, numbered, templates)
    return Centroids(tuple(names), templates, numbered, sums)
