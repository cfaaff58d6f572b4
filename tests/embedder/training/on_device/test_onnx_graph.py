from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.embedder.training.on_device.toy_teacher import DIM, toy_teacher
from twindex.embedder.inference.runtime import compile_network, read_onnx
from twindex.embedder.training.on_device.onnx_graph import load_onnx
from twindex.errors import UsageError


def test_a_network_computes_what_openvino_computes(tmp_path: Path) -> None:
    path = toy_teacher(tmp_path / "toy.onnx")
    pixels = np.random.default_rng(1).uniform(0, 255, (3, 3, 112, 112)).astype(np.float32)
    (expected,) = compile_network(read_onnx(path))(pixels)
    found = np.asarray(jax.jit(load_onnx(path))(pixels))
    assert found.shape == (3, DIM)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_shapes_that_the_network_works_out_are_known_while_it_is_traced(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Gather", ["shape", "second"], ["channels"]),
        helper.make_node("Concat", ["first", "channels"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["pixels", "wanted"], ["flat"]),
        helper.make_node("ConstantOfShape", ["channels"], ["zeros"], value=helper.make_tensor("v", 1, [1], [2.0])),
        helper.make_node("CumSum", ["zeros", "axis"], ["ramp"]),
        helper.make_node("Sin", ["ramp"], ["wave"]),
        helper.make_node("Add", ["flat", "wave"], ["sum"]),
    ]
    constants = {"second": [1], "first": [-1]}
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 4, "h", "w"])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["m", 4])],
        [helper.make_tensor(name, TensorProto.INT64, [1], numbers) for name, numbers in constants.items()]
        + [helper.make_tensor("axis", TensorProto.INT64, [], [0])],
    )
    path = tmp_path / "shapes.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    pixels = np.arange(32, dtype=np.float32).reshape(2, 4, 2, 2)
    expected = pixels.reshape(-1, 4) + np.sin([2.0, 4.0, 6.0, 8.0])
    np.testing.assert_allclose(jax.jit(load_onnx(path))(pixels), expected, rtol=1e-5)


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Loop", ["pixels"], ["out"])
    value = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [node], "unknown", [value], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])]
    )
    onnx.save(helper.make_model(graph), tmp_path / "unknown.onnx")
    with pytest.raises(UsageError, match="operators that cannot run here: Loop"):
        load_onnx(tmp_path / "unknown.onnx")


def test_what_is_not_a_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UsageError, match="Cannot read the network"):
        load_onnx(tmp_path / "text.onnx")
