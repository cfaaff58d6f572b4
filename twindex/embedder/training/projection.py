"""A projection fitted to a teacher's embeddings before the first step, for initial weights of another length."""

import keras
import numpy as np

from twindex.embedder.training.data.sampling import shuffled_batch
from twindex.embedder.training.data.teacher import SIZE
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.teacher_targets import run_teacher
from twindex.embedder.training.twin.network import assign_arrays, branch_arrays
from twindex.types import Float32, Int64

PHOTOS = 8_000
RIDGE = 0.2  # of the features' mean variance
_AT_ONCE = 64


def project_onto_teacher(branch: keras.Model, run: TrainingRun, learning: Int64) -> None:
    """Set a branch's projection so that its templates come as near to the teacher's as its features allow.

    Args:
        branch: All but the projection is as it should be; changed in place.
        run: Photos and teacher.
        learning: Photos to fit on, (n,) int64; at most `PHOTOS` are taken.

    Raises:
        UsageError: The run has no teacher, or its embedding has another length.
    """
    teach, size = run_teacher(run), branch.input_shape[1]
    photos = learning[shuffled_batch(len(learning), min(PHOTOS, len(learning)), 0, run.recipe.seed)]
    inner = keras.Model(branch.input, branch.get_layer("features").output)
    features, targets = [], []
    for piece in np.split(photos, range(_AT_ONCE, len(photos), _AT_ONCE)):
        pixels = run.faces.clean(piece, size).astype(np.float32)
        features.append(keras.ops.convert_to_numpy(inner(pixels, training=False)).astype(np.float32))
        targets.append(teach(run.faces.clean(piece, SIZE)))
    kernel, bias = fit_projection(np.concatenate(features), np.concatenate(targets))
    assign_arrays(branch, {**branch_arrays(branch), "projection/kernel": kernel, "projection/bias": bias})


def fit_projection(features: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Ridge regression (A. Hoerl and R. Kennard 1970) of targets on features.

    Args:
        features: (n, width) float32.
        targets: (n, dim) float32.

    Returns:
        Kernel (width, dim) and bias (dim,), float32: features @ kernel + bias is near the targets.
    """
    exact, wanted = features.astype(np.float64), targets.astype(np.float64)
    mean, middle = exact.mean(axis=0), wanted.mean(axis=0)
    centred = exact - mean
    covariance = centred.T @ centred / len(exact)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    kernel = np.linalg.solve(covariance, centred.T @ (wanted - middle) / len(exact))
    return kernel.astype(np.float32), (middle - mean @ kernel).astype(np.float32)
