"""Templates of people who do not exist, by the million, spread as a model spreads those of real ones.

    python benchmarks/likeness.py FACES         # fits the spread to a folder of subjects, writes likeness.safetensors

A subject is drawn from the covariance between subjects, its templates around it from the covariance within them, each
as far out as a real one is, and all are brought to unit length: the two-covariance model of N. Brummer and E. de
Villiers, "The speaker partitioning problem", Odyssey 2010, with heavier tails.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.registry import find_model
from twindex.evaluation.capture import capture
from twindex.files.user_folders import cache_dir
from twindex.types import Float32

FILE = Path(__file__).with_name("likeness.safetensors")
_BLOCK = 50_000


@dataclass(frozen=True, eq=False)
class Likeness:
    """How templates are spread.

    Attributes:
        mean: (dim,) float32, of all subjects.
        between: (dim, dim) float32, a factor of the covariance between subjects: its rows times normal numbers.
        within: (dim, dim) float32, the same within a subject.
        reach: (101,) float32, percentiles of how far a template is from its subject, in units of the usual distance.
    """

    mean: Float32
    between: Float32
    within: Float32
    reach: Float32

    @classmethod
    def load(cls, file: Path = FILE) -> "Likeness":
        return cls(**load_file(file))

    def save(self, file: Path = FILE) -> None:
        save_file(self.__dict__, file)

    def draw(self, count: int, per_subject: int, seed: int) -> Iterator[Float32]:
        """Templates subject by subject.

        Args:
            count: How many in all.
            per_subject: Templates of each subject; the last may have fewer.
            seed: Of all that is random; the same templates in the same order.

        Yields:
            (n, dim) float32, unit length; whole subjects, about 50,000 templates.
        """
        random = np.random.default_rng(seed)
        subjects = max(1, _BLOCK // per_subject)
        dim = len(self.mean)
        left = count
        while left > 0:
            means = self.mean + random.standard_normal((subjects, dim), np.float32) @ self.between
            around = random.standard_normal((subjects * per_subject, dim), np.float32) @ self.within
            drawn = np.repeat(means, per_subject, axis=0) + around * self.reaches(len(around), random)[:, None]
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            yield drawn[:left]
            left -= len(drawn)

    def reaches(self, count: int, random: np.random.Generator) -> Float32:
        """How far out each of some templates is, (count,) float32, in units of the usual distance."""
        return np.interp(random.random(count), np.linspace(0, 1, len(self.reach)), self.reach).astype(np.float32)


def fit(templates: Float32, subjects: NDArray[np.int64]) -> Likeness:
    """The spread of real templates.

    Args:
        templates: (n, dim) float32, unit length.
        subjects: (n,) int64; subjects with one template tell only about the spread between subjects.
    """
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(owner, column) for column in templates.T.astype(np.float64)], axis=1)
    means /= counts[:, None]
    several = counts[owner] > 1
    residuals = (templates - means[owner])[several].astype(np.float64)
    degrees = counts[counts > 1].sum() - (counts > 1).sum()
    within = residuals.T @ residuals / degrees
    # The means of few templates scatter by themselves: that part is not between subjects.
    between = np.cov(means.T) - within * np.mean(1 / counts)
    # A template's residual is short by its own part of the mean.
    lengths = np.linalg.norm(residuals, axis=1) * np.sqrt(counts[owner][several] / (counts[owner][several] - 1))
    reach = np.percentile(lengths / np.sqrt(np.trace(within)), np.arange(101))
    return Likeness(*(one.astype(np.float32) for one in (means.mean(axis=0), _factor(between), _factor(within), reach)))


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """F with F.T @ F = covariance, its negative directions left out."""
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="photos, one sub-folder per subject")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    photos = sorted(path for path in options.faces.glob("*/*") if path.is_file())
    captured = capture(photos, FaceReader(), Embedder(find_model(options.model), cache=cache_dir()), lambda _: None)
    folders = [path.parent.name for path in captured.paths]
    subjects = np.unique(folders, return_inverse=True)[1].astype(np.int64)
    found = captured.usable
    likeness = fit(captured.templates[found], subjects[found])
    likeness.save()
    drawn = next(likeness.draw(4_000, 4, seed=1)).reshape(-1, 4, len(likeness.mean))
    print(f"{found.sum()} templates of {len(set(folders))} subjects; distances, real and drawn:")
    for name, vectors, owners in (
        ("real", captured.templates[found], subjects[found]),
        ("drawn", drawn.reshape(-1, drawn.shape[2]), np.repeat(np.arange(len(drawn)), 4)),
    ):
        mated, non_mated = _sampled_distances(vectors, owners)
        print(f"  {name}: mated {np.percentile(mated, [5, 50, 95])}, non-mated {np.percentile(non_mated, [1, 50, 99])}")


def _sampled_distances(templates: Float32, subjects: NDArray[np.int64]) -> tuple[Float32, Float32]:
    """Distances of some pairs, mated and non-mated."""
    random = np.random.default_rng(2)
    chosen = random.permutation(len(templates))[:4_000]
    distances = np.sqrt(np.maximum(2 - 2 * templates[chosen] @ templates[chosen].T, 0))
    upper = np.triu(np.ones(distances.shape, bool), 1)
    same = subjects[chosen][:, None] == subjects[chosen][None]
    return distances[upper & same], distances[upper & ~same]


if __name__ == "__main__":
    main()
