from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from twindex.embedder.training.data import teacher
from twindex.embedder.training.data.teacher import load_teacher
from twindex.embedder.training.recipe.recipe import Teacher
from twindex.errors import UsageError

PIXELS = Teacher(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(6, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def model(weights: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that looks at the mean colour of the left and of the right half, so that mirroring matters."""
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["halves"], kernel_shape=[112, 56], strides=[112, 56]),
        helper.make_node("Flatten", ["halves"], ["colours"]),
        helper.make_node("MatMul", ["colours", "weights"], ["embedding"]),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 112, 112])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 8])]
    graph = helper.make_graph(nodes, "teacher", inputs, outputs, [numpy_helper.from_array(weights, "weights")])
    path = tmp_path_factory.mktemp("teacher") / "teacher.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_embeddings_of_crop_and_mirror_image_are_added(model: Path, weights: np.ndarray) -> None:
    crops = np.random.default_rng(4).integers(0, 256, (3, 112, 112, 3), np.uint8)
    crops[:, :, :56] //= 2
    found = load_teacher(model, PIXELS, 8)(crops)
    planes = (crops / 255 - PIXELS.mean) / PIXELS.std
    halves = planes.reshape(3, 112, 2, 56, 3).mean(axis=(1, 3))  # photo, half, colour
    both = sum(half.transpose(0, 2, 1).reshape(3, 6) @ weights for half in (halves, halves[:, ::-1]))
    np.testing.assert_allclose(found, both / np.linalg.norm(both, axis=1, keepdims=True), atol=1e-5)


def test_a_teacher_of_another_length_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="set the recipe's dim"):
        load_teacher(model, PIXELS, 128)(np.zeros((1, 112, 112, 3), np.uint8))


def test_crops_of_another_size_are_shown_at_the_teacher_s(model: Path) -> None:
    crops = np.random.default_rng(5).integers(0, 256, (2, 112, 112, 3), np.uint8)
    teach = load_teacher(model, PIXELS, 8)
    np.testing.assert_allclose(teach(crops.repeat(2, axis=1).repeat(2, axis=2)), teach(crops), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "fast", "used"),
    [
        ("float32", True, "float32"),
        ("bfloat16", False, "bfloat16"),
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
    ],
)
def test_a_teacher_computes_as_its_recipe_says(
    model: Path, monkeypatch: pytest.MonkeyPatch, asked: str, fast: bool, used: str
) -> None:
    compiled: list[str] = []

    def compile_network(network: object, precision: str) -> object:
        compiled.append(precision)
        return lambda planes: (np.ones((len(planes), 8), np.float32),)

    monkeypatch.setattr(teacher, "computes_in_bfloat16", lambda: fast)
    monkeypatch.setattr(teacher, "compile_network", compile_network)
    teach = load_teacher(model, Teacher(precision=asked), 8)  # type: ignore[arg-type]  # a parameter of the test
    assert compiled == [used]
    np.testing.assert_allclose(teach(np.zeros((1, 112, 112, 3), np.uint8)), np.full((1, 8), 8**-0.5), rtol=1e-6)
