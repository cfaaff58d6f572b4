"""The OpenVINO graph against the Keras network that it stands for."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from twindex.embedder.inference.branch_graph import build_branch, folded
from twindex.embedder.inference.runtime import Network, compile_network

Arrays = Mapping[str, NDArray[np.float32]]


def images(count: int, side: int) -> NDArray[np.uint8]:
    """Soft random patterns: neighbouring pixels are alike, so that padding and pooling matter."""
    coarse = np.random.default_rng(side).integers(0, 256, (count, 8, 8, 3))
    places = np.arange(side) * 8 // side
    return coarse[:, places][:, :, places].astype(np.uint8)


def normalised(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    return templates / np.linalg.norm(templates, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def upright(random_arrays: Arrays) -> Network:
    return compile_network(build_branch(random_arrays, (75, 75, 3), mirror=False))


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.parametrize("side", [75, 112])
def test_the_graph_computes_what_keras_computes(random_arrays: Arrays, side: int) -> None:
    # Imported here, because every process that collects this file would wait for TensorFlow.
    import keras

    from twindex.embedder.training.twin import network as twin

    dim = len(random_arrays["projection/bias"])
    branch = twin.build_branch((side, side, 3), dim)
    twin.assign_arrays(branch, random_arrays)  # refuses other names and shapes than the network's own
    pixels = images(3, side)
    expected = keras.ops.convert_to_numpy(branch(pixels.astype(np.float32), training=False))
    (found,) = compile_network(build_branch(random_arrays, (side, side, 3), mirror=False))(pixels)
    assert found.shape == (3, dim)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    # The comparison would say little if every image had the same template.
    assert np.linalg.norm(expected[0] - expected[1]) > 0.01


def test_templates_have_unit_length(upright: Network) -> None:
    np.testing.assert_allclose(np.linalg.norm(upright(images(4, 75))[0], axis=1), 1, atol=1e-6)


def test_a_mirrored_template_is_the_normalised_sum_of_both(upright: Network, random_arrays: Arrays) -> None:
    pixels = images(3, 75)
    both = compile_network(build_branch(random_arrays, (75, 75, 3), mirror=True))
    flipped = np.ascontiguousarray(pixels[:, :, ::-1])
    expected = normalised(upright(pixels)[0] + upright(flipped)[0])
    np.testing.assert_allclose(both(pixels)[0], expected, atol=1e-5)
    np.testing.assert_allclose(both(flipped)[0], expected, atol=1e-5)
    assert np.abs(upright(pixels)[0] - expected).max() > 1e-3


def test_folding_keeps_the_normalised_convolution() -> None:
    random = np.random.default_rng(3)
    kernel = random.normal(size=(1, 2, 3, 4)).astype(np.float16)
    beta, mean = random.normal(size=(2, 4)).astype(np.float16)
    variance = random.uniform(0.1, 2, 4).astype(np.float16)
    arrays = {"c/kernel": kernel, "c/beta": beta, "c/mean": mean, "c/variance": variance}
    weights, bias = folded(arrays, "c")
    assert weights.shape == (4, 3, 1, 2)
    assert bias.shape == (1, 4, 1, 1)
    window = random.normal(size=(1, 2, 3))
    convolved = np.einsum("hwi,hwio->o", window, kernel.astype(np.float64))
    expected = (convolved - mean) / np.sqrt(variance.astype(np.float64) + 1e-3) + beta
    np.testing.assert_allclose(np.einsum("hwi,oihw->o", window, weights) + bias.ravel(), expected, rtol=1e-5)


def test_a_missing_array_is_named(random_arrays: Arrays) -> None:
    arrays = {name: array for name, array in random_arrays.items() if name != "conv_93/mean"}
    with pytest.raises(KeyError, match="conv_93/mean"):
        build_branch(arrays, (75, 75, 3), mirror=False)
