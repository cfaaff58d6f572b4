"""Bundles of twins that were trained with Keras, and of weights files."""

from pathlib import Path

import keras
import numpy as np
import pytest

import twindex
from tests.embedder.coloured_faces import coloured_faces
from twindex.embedder.embedder import Embedder
from twindex.embedder.model.bundle import WEIGHTS_FILE, Bundle, load_bundle
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.head import calibrate
from twindex.embedder.training.twin.network import EuclideanDistance, branch_arrays, build_branch, build_twin
from twindex.errors import BundleError, UsageError


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coloured_faces(tmp_path_factory.mktemp("others"), seed=4)


@pytest.fixture(scope="module")
def twin() -> keras.Model:
    keras.utils.set_random_seed(2)
    return twindex.siamese((75, 75, 3), dim=16)


@pytest.mark.slow
def test_a_weights_file_becomes_a_bundle_that_is_measured_on_the_given_faces(
    random_bundle: Bundle, others: Path, tmp_path: Path
) -> None:
    file = random_bundle.path / WEIGHTS_FILE
    with pytest.raises(UsageError, match="does not say the size of its input: give input_size"):
        twindex.bundle_from(file, tmp_path / "model", faces=others)
    texts = {"name": "given", "data": "colours", "terms": "None."}
    bundle = twindex.bundle_from(file, tmp_path / "model", faces=others, input_size=75, **texts)
    assert load_bundle(tmp_path / "model").card == bundle.card
    card = bundle.card
    assert (card.name, card.input_shape, card.dim, card.terms) == ("given", (75, 75, 3), 16, "None.")
    assert card.training == {"data": "colours", "made_by": "bundle_from", "measured_on": 30}
    for name, array in random_bundle.arrays().items():
        np.testing.assert_array_equal(bundle.arrays()[name], array, err_msg=name)
    faces = TrainingFaces.scan(others)
    measured = calibrate(Embedder(bundle).embed_inputs(faces.clean(np.arange(30), 75)), faces.subjects)
    assert (card.head_weight, card.head_bias) == pytest.approx((measured.head.weight, measured.head.bias))
    assert card.accuracy == pytest.approx(measured.accuracy)
    with pytest.raises(UsageError, match="exists already"):
        twindex.bundle_from(file, tmp_path / "model", faces=others, input_size=75)


@pytest.mark.slow
def test_a_twin_its_branch_and_its_file_become_the_same_bundle(twin: keras.Model, others: Path, tmp_path: Path) -> None:
    twin.save(tmp_path / "twin.keras")
    given = {"twin": twin, "branch": twin.get_layer("branch"), "file": tmp_path / "twin.keras"}
    made = {name: twindex.bundle_from(model, tmp_path / name, faces=others) for name, model in given.items()}
    assert len({bundle.card.fingerprint for bundle in made.values()}) == 1
    for name, array in branch_arrays(twin.get_layer("branch")).items():
        np.testing.assert_array_equal(made["file"].arrays()[name], array.astype(np.float16), err_msg=name)
    again = twindex.siamese((75, 75, 3), dim=16, weights=tmp_path / "twin")
    card = made["twin"].card
    weight, bias = again.get_layer("head").get_weights()
    assert (weight.item(), bias.item()) == pytest.approx((card.head_weight, card.head_bias), rel=1e-6)
    with pytest.raises(BundleError, match="templates have 16 values, not 128: give dim=16"):
        twindex.siamese((75, 75, 3), weights=tmp_path / "twin")


@pytest.mark.slow
def test_a_branch_that_scales_its_pixels_otherwise_is_refused(others: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    branch = build_branch((75, 75, 3), 16)
    pixels = keras.Input((75, 75, 3))
    inner = keras.Model(branch.get_layer("scale").output, branch.output)
    other = keras.Model(pixels, inner(pixels))
    with pytest.raises(UsageError, match="no branch that a gallery can use"):
        twindex.bundle_from(keras.Model(pixels, keras.layers.Flatten()(pixels)), tmp_path / "model", faces=others)
    with pytest.raises(UsageError, match="computes other templates than a gallery would"):
        twindex.bundle_from(other, tmp_path / "model", faces=others)


@pytest.mark.slow
def test_two_branches_are_no_twin(others: Path, tmp_path: Path) -> None:
    first, second = (build_branch((75, 75, 3), 16) for _ in range(2))
    second.name = "other"
    inputs = [keras.Input((75, 75, 3)) for _ in range(2)]
    pair = keras.Model(inputs, EuclideanDistance()([first(inputs[0]), second(inputs[1])]))
    with pytest.raises(UsageError, match="has 2 branches, each with weights of its own"):
        twindex.bundle_from(pair, tmp_path / "model", faces=others)
    assert build_twin(first).count_params() == first.count_params() + 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_shape": (74, 75, 3)}, "75 or more"),
        ({"input_shape": (75, 75, 1)}, r"input_shape of \(height, width, 3\)"),
        ({"dim": 1}, "dim from 2 to 4096"),
        ({"weights": "missing.h5"}, "no weights file"),
        ({"weights": "missing"}, "No model 'missing'"),
    ],
)
def test_twins_that_cannot_be_are_refused(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        twindex.siamese(**given)
