"""A linear statistical model of faces, from which people who do not exist can be drawn.

One eigenface basis (Sirovich & Kirby 1987, Turk & Pentland 1991) of the subjects' mean faces and one of the photos'
deviations from them: the between- and within-subject spaces of Moghaddam et al. 2000. A person is a draw from the
first, a photo of the person adds a draw from the second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

SIDE = 128  # pixels of a crop
COMPONENTS = 80
IDENTITY_GAIN, VARIATION_GAIN = 1.2, 0.6  # of the fitted standard deviations: people far apart, photos close together
TRUNCATION = 2.0  # standard deviations; rarer coefficients look less like a face


@dataclass(frozen=True, eq=False)
class FaceModel:
    """The linear model.

    Attributes:
        mean: (pixels,) float32, grey levels.
        between: (COMPONENTS, pixels) float32, components of the subjects' means, as long as their standard deviations.
        within: The same of the photos' deviations from their subject's mean.
    """

    mean: Float32
    between: Float32
    within: Float32

    def draw(self, photos: int, rng: np.random.Generator) -> UInt8:
        """Draw one person: (photos, SIDE, SIDE, 3) uint8 RGB."""
        identity = IDENTITY_GAIN * truncated_normal((COMPONENTS,), rng) @ self.between
        variation = VARIATION_GAIN * truncated_normal((photos, COMPONENTS), rng) @ self.within
        return np.clip(self.mean + identity + variation, 0, 255).astype(np.uint8).reshape(photos, SIDE, SIDE, 3)

    def show(self, faces: Float32) -> UInt8:
        """What the model makes of (n, pixels) faces, given by their between-subject components alone."""
        coefficients = (faces - self.mean) @ self.between.T / np.square(self.between).sum(axis=1)
        shown: UInt8 = np.clip(self.mean + coefficients @ self.between, 0, 255).astype(np.uint8)
        return shown.reshape(-1, SIDE, SIDE, 3)


def truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Float32:
    """Standard normal numbers, those beyond TRUNCATION drawn again."""
    numbers = rng.standard_normal(shape, dtype=np.float32)
    while (beyond := np.abs(numbers) > TRUNCATION).any():
        numbers[beyond] = rng.standard_normal(beyond.sum(), dtype=np.float32)
    return numbers


def principal_components(deviations: Float32) -> Float32:
    """(COMPONENTS, pixels) leading components of (n, pixels) deviations, each as long as its standard deviation.

    Solved on the (n, n) Gram matrix, n being smaller than the number of pixels (Sirovich & Kirby 1987).
    """
    _, vectors = np.linalg.eigh((deviations @ deviations.T).astype(np.float64))
    weights = vectors[:, -COMPONENTS:] / np.sqrt(len(deviations))
    # An eigenvector's sign is arbitrary; fixing it makes the same seed draw the same people with every LAPACK.
    weights *= np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(COMPONENTS)])
    components: Float32 = weights.astype(np.float32).T @ deviations
    return components[::-1]


def symmetric_means(crops: UInt8) -> Float32:
    """(subjects, pixels) means of (subjects, photos, SIDE, SIDE, 3) crops and their mirror images.

    A face drawn from symmetric means looks natural and tells people apart as well as one from plain means; pose and
    one-sided light are left to the within-subject components.
    """
    means: Float32 = crops.mean(axis=1, dtype=np.float32)
    symmetric: Float32 = (means + means[:, :, ::-1]) / np.float32(2)
    return symmetric.reshape(len(symmetric), -1)


def fit(crops: UInt8) -> FaceModel:
    """Fit the model to (subjects, photos, SIDE, SIDE, 3) crops."""
    means = symmetric_means(crops)
    # Two photos of each subject are plenty for the within-subject space, and keep its Gram matrix small.
    deviations = (crops[:, :2] - crops.mean(axis=1, keepdims=True, dtype=np.float32)).reshape(-1, means.shape[1])
    mean: Float32 = means.mean(axis=0)
    return FaceModel(mean, principal_components(means - mean), principal_components(deviations))
