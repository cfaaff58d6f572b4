import keras
import numpy as np
import pytest

from twindex.embedder.training.twin.losses import pairwise_distances
from twindex.embedder.training.twin.network import (
    EuclideanDistance,
    assign_arrays,
    branch_arrays,
    build_branch,
    build_head,
    build_twin,
    convolutions,
)

SHAPE = (75, 75, 3)


@pytest.fixture(scope="module")
def twin() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_twin(build_branch(SHAPE, dim=16))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (6, *SHAPE)).astype(np.float32)


def test_both_inputs_go_through_the_same_variables(twin: keras.Model) -> None:
    branches = [layer for layer in twin.layers if isinstance(layer, keras.Model)]
    assert [layer.name for layer in branches] == ["branch"]
    alone = build_branch(SHAPE, dim=16)
    assert len(twin.variables) == len(alone.variables) + 2  # the head's weight and bias


def test_changing_one_kernel_changes_both_sides(twin: keras.Model, images: np.ndarray) -> None:
    distance = keras.Model(twin.inputs, twin.get_layer("distance").output)
    same = [images[:2], images[:2]]
    kernel = twin.get_layer("branch").get_layer("projection").kernel
    before = keras.ops.convert_to_numpy(kernel)
    kernel.assign(before * np.linspace(0.5, 2, before.shape[1], dtype=np.float32))
    np.testing.assert_allclose(distance.predict_on_batch(same), 0, atol=1e-5)
    kernel.assign(before)


def test_swapping_the_inputs_gives_the_same_probability(twin: keras.Model, images: np.ndarray) -> None:
    one_way = twin.predict_on_batch([images[:3], images[3:]])
    other_way = twin.predict_on_batch([images[3:], images[:3]])
    assert np.ptp(one_way) > 0
    np.testing.assert_array_equal(one_way, other_way)


def test_templates_have_unit_length_and_the_default_shape(twin: keras.Model, images: np.ndarray) -> None:
    templates = twin.get_layer("branch").predict_on_batch(images)
    assert templates.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(templates, axis=1), 1, atol=1e-5)
    assert build_branch.__defaults__ is not None
    assert build_branch.__defaults__[0] == (224, 224, 3)


def test_distance_is_the_square_root_and_bounded_below() -> None:
    layer = EuclideanDistance(epsilon=1e-6)
    first = np.array([[3.0, 0.0], [1.0, 1.0]], np.float32)
    second = np.array([[0.0, 4.0], [1.0, 1.0]], np.float32)
    distances = keras.ops.convert_to_numpy(layer([first, second]))
    np.testing.assert_allclose(distances, [[5.0], [1e-3]], rtol=1e-5)
    assert layer.compute_output_shape([(None, 2), (None, 2)]) == (None, 1)


def test_distance_refuses_an_epsilon_that_is_not_positive() -> None:
    with pytest.raises(ValueError, match="positive epsilon"):
        EuclideanDistance(epsilon=0)


def test_distance_layer_survives_save_and_load(tmp_path, images: np.ndarray) -> None:
    inputs = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(inputs, build_head()(EuclideanDistance(epsilon=1e-5)(inputs)))
    rows = images.reshape(6, -1)[:, :8] / 255
    expected = model.predict_on_batch([rows[:, :4], rows[:, 4:]])
    model.save(tmp_path / "twin.keras")
    loaded = keras.saving.load_model(tmp_path / "twin.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict_on_batch([rows[:, :4], rows[:, 4:]]), expected)
    assert loaded.layers[2].epsilon == 1e-5


def test_head_weight_stays_below_zero() -> None:
    head = build_head()
    head.build((None, 1))
    assert float(head.kernel[0][0]) < 0
    pushed = keras.ops.convert_to_numpy(head.kernel.constraint(np.array([[4.0], [-2.0]], np.float32)))
    np.testing.assert_allclose(pushed, [[-1e-3], [-2.0]])


def test_weights_travel_by_name(images: np.ndarray, twin: keras.Model) -> None:
    branch = twin.get_layer("branch")
    copy = build_branch(SHAPE, dim=16)
    assert np.abs(copy.predict_on_batch(images) - branch.predict_on_batch(images)).max() > 1e-3
    arrays = branch_arrays(branch)
    assert arrays["conv_00/kernel"].shape == (3, 3, 3, 32)
    assert arrays["projection/kernel"].shape == (2048, 16)
    assert len(arrays) == 94 * 4 + 2
    assign_arrays(copy, arrays)
    np.testing.assert_allclose(copy.predict_on_batch(images), branch.predict_on_batch(images), atol=1e-6)


def test_wrong_weights_are_refused(twin: keras.Model) -> None:
    branch = twin.get_layer("branch")
    arrays = branch_arrays(branch)
    with pytest.raises(ValueError, match="names differ"):
        assign_arrays(branch, {name: arrays[name] for name in list(arrays)[1:]})
    with pytest.raises(ValueError, match="conv_07/beta of shape"):
        assign_arrays(branch, {**arrays, "conv_07/beta": np.zeros(3, np.float32)})


def test_convolutions_come_in_creation_order(twin: keras.Model) -> None:
    pairs = convolutions(twin.get_layer("branch"))
    shapes = [tuple(convolution.kernel.shape) for convolution, _ in pairs[:6]]
    assert shapes == [(3, 3, 3, 32), (3, 3, 32, 32), (3, 3, 32, 64), (1, 1, 64, 80), (3, 3, 80, 192), (1, 1, 192, 64)]


def test_a_pair_in_a_batch_gets_the_twin_s_probability(twin: keras.Model, images: np.ndarray) -> None:
    templates = twin.get_layer("branch").predict_on_batch(images)
    between = keras.ops.convert_to_numpy(pairwise_distances(templates))[[0, 1, 2], [3, 4, 5]]
    found = keras.ops.convert_to_numpy(twin.get_layer("head")(between[:, None]))
    np.testing.assert_allclose(found, twin.predict_on_batch([images[:3], images[3:]]), atol=1e-4)
