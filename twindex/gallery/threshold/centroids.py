"""Every subject's centroid in memory, to search the whole gallery at once."""

from dataclasses import dataclass

import numpy as np

from twindex.scoring import SAME_PHOTO, Float64, chord, distances, unit_length
from twindex.storage import Store
from twindex.types import Float32, Int64

_BATCH = 10_000
_COLUMNS = 20_000
_ROWS = 500
_NEAR = 1e-3  # squared distance below which the exact distance is computed


@dataclass(frozen=True, eq=False)
class Centroids:
    """All references of a model, and their sum for each subject.

    Attributes:
        names: The subjects.
        templates: (n, dim) float32, unit length.
        owners: (n,) int64, each reference's subject as a position in `names`.
        sums: (subjects, dim) float64.
    """

    names: tuple[str, ...]
    templates: Float32
    owners: Int64
    sums: Float64

    def nearest(self, probes: Float32) -> tuple[Float64, Int64]:
        """The subject nearest to each probe.

        Args:
            probes: (m, dim) float32, unit length.

        Returns:
            Distances, (m,) float64, and positions in `names`, (m,) int64.
        """
        return self._nearest_other(probes, np.full(len(probes), -1, np.int64))

    def holds(self, probes: Float32) -> bool:
        """Whether any of the probes, (m, dim) float32, is a photo that is enrolled."""
        for start in range(0, len(self.templates), _COLUMNS):
            block = self.templates[start : start + _COLUMNS]
            # Single-precision cosines cannot resolve so small a distance: they only select pairs to compare exactly.
            rows, columns = np.nonzero(2 - 2 * (probes @ block.T) < _NEAR)
            if any(
                distances(probes[row], block[[column]])[0] < SAME_PHOTO
                for row, column in zip(rows, columns, strict=True)
            ):
                return True
        return False

    def left_out(self, chosen: Int64) -> tuple[Float64, Int64, Float64]:
        """Search references as if they had not been enrolled.

        Args:
            chosen: (m,) int64, positions of references.

        Returns:
            Distances to the nearest other subject, that subject's position in `names`, and distances to the centroid of
            the own subject's other references; (m,) each. Distances are float64, infinity without such a subject.
        """
        probes, subjects = self.templates[chosen], self.owners[chosen]
        rest = self.sums[subjects] - probes
        alone = np.bincount(self.owners, minlength=len(self.names))[subjects] == 1
        cosines = np.einsum("md,md->m", unit_length(rest), probes)
        own = np.where(alone, np.inf, chord(cosines))
        return *self._nearest_other(probes, subjects), own

    def _nearest_other(self, probes: Float32, excluded: Int64) -> tuple[Float64, Int64]:
        """Distance and position of the nearest subject, without the excluded one (-1 excludes none)."""
        best, found = np.full(len(probes), -np.inf), np.full(len(probes), -1, np.int64)
        for start in range(0, len(self.names), _COLUMNS):
            directions = unit_length(self.sums[start : start + _COLUMNS]).astype(np.float32)
            for first in range(0, len(probes), _ROWS):
                part = slice(first, first + _ROWS)
                cosines = probes[part] @ directions.T
                inside = (excluded[part] >= start) & (excluded[part] < start + len(directions))
                cosines[np.flatnonzero(inside), excluded[part][inside] - start] = -np.inf
                columns = cosines.argmax(axis=1)
                values = cosines[np.arange(len(columns)), columns]
                found[part] = np.where(values > best[part], start + columns, found[part])
                best[part] = np.maximum(best[part], values)
        return chord(best), found


def load_centroids(store: Store, fingerprint: str) -> Centroids:
    """Read all templates of a model.

    Raises:
        IntegrityError: A template is damaged.
    """
    names: dict[str, int] = {}
    owners, pieces = [], []
    for references, vectors in store.references.batches(fingerprint, _BATCH):
        known = store.references.owners(references.tolist())
        # References erased meanwhile have no owner.
        kept = [place for place, reference in enumerate(references.tolist()) if reference in known]
        pieces.append(vectors[kept])
        owners += [names.setdefault(known[int(references[place])], len(names)) for place in kept]
    if not owners:
        return Centroids((), np.empty((0, 0), np.float32), np.empty(0, np.int64), np.empty((0, 0)))
    templates, numbered = np.concatenate(pieces), np.array(owners, np.int64)
    sums = np.zeros((len(names), templates.shape[1]))
    np.add.at(sums, numbered, templates)
    return Centroids(tuple(names), templates, numbered, sums)
