from pathlib import Path

import keras
import numpy as np
import pytest

from twindex.embedder.model.inception import BATCH_NORM_EPSILON
from twindex.embedder.training.initial.weights import initialise_from_folded, layer_names
from twindex.embedder.training.twin.network import build_branch, convolutions

MISSING = "mixed_9_tower_1_conv_1"


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (8, 75, 75, 3), np.uint8)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random kernels and biases under the file's names, one kernel missing."""
    random, arrays = np.random.default_rng(6), {}
    for name, (convolution, _) in zip(layer_names(), convolutions(build_branch((75, 75, 3), 8)), strict=True):
        shape = convolution.kernel.shape
        spread = np.sqrt(2 / np.prod(shape[:3]))
        arrays[f"{name}/bias"] = random.normal(0, 0.1, shape[3]).astype(np.float16)
        if name != MISSING:
            arrays[f"{name}/kernel"] = random.normal(0, spread, shape).astype(np.float16)
    path = tmp_path_factory.mktemp("weights") / "folded.npz"
    np.savez(path, **arrays)
    return path


def plain_features(branch: keras.Model, folded: Path, faces: np.ndarray) -> np.ndarray:
    """Features of the folded network itself: kernels and biases as they are, normalisation doing nothing."""
    with np.load(folded) as arrays:
        for name, (convolution, norm) in zip(layer_names(), convolutions(branch), strict=True):
            if name != MISSING:
                convolution.kernel.assign(arrays[f"{name}/kernel"].astype(np.float32))
            norm.beta.assign(arrays[f"{name}/bias"].astype(np.float32))
            norm.moving_mean.assign(np.zeros(norm.beta.shape))
            norm.moving_variance.assign(np.full(norm.beta.shape, 1 - BATCH_NORM_EPSILON))
    features = keras.Model(branch.input, branch.get_layer("features").output)
    return features.predict_on_batch(faces.astype(np.float32))


def test_there_are_94_names_in_creation_order() -> None:
    names = layer_names()
    assert len(names) == len(set(names)) == 94
    assert names[:7] == ["conv", "conv_1", "conv_2", "conv_3", "conv_4", "mixed_conv", "mixed_tower_conv"]
    assert names[-1] == "mixed_10_tower_2_conv"


@pytest.mark.slow
def test_the_function_is_kept_up_to_a_scale_of_each_feature(folded: Path, faces: np.ndarray) -> None:
    keras.utils.set_random_seed(1)
    branch = build_branch((75, 75, 3), 8)
    expected = plain_features(branch, folded, faces)
    assert initialise_from_folded(branch, folded, faces) == [MISSING]
    found = keras.Model(branch.input, branch.get_layer("features").output).predict_on_batch(faces.astype(np.float32))
    alive = expected.max(axis=0) > 1e-3
    assert alive.mean() > 0.3  # ReLU leaves the rest at zero
    scale = found[:, alive].sum(axis=0) / expected[:, alive].sum(axis=0)
    np.testing.assert_allclose(found[:, alive], expected[:, alive] * scale, rtol=0.02, atol=2e-3)
    assert np.ptp(scale) > 0.1  # it was normalised, not merely copied


@pytest.mark.slow
def test_normalised_outputs_have_unit_variance(folded: Path, faces: np.ndarray) -> None:
    branch = build_branch((75, 75, 3), 8)
    initialise_from_folded(branch, folded, faces)
    convolution, norm = convolutions(branch)[3]
    output = keras.Model(branch.input, convolution.output).predict_on_batch(faces.astype(np.float32))
    mean, variance = output.mean(axis=(0, 1, 2)), output.var(axis=(0, 1, 2))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(norm.moving_mean), mean, atol=1e-3)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(norm.moving_variance), variance, rtol=1e-2)
