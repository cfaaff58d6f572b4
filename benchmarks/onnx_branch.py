"""The trained branch as an ONNX file, for measuring other engines on the same network."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twindex.embedder.inference.branch_graph import folded
from twindex.embedder.model.inception import Conv, Parallel, Path, Pool, inception_v3


def onnx_branch(arrays: dict[str, NDArray[Any]], side: int) -> bytes:
    """The graph from (n, 3, side, side) float32 from -1 to 1 to (n, dim) templates, serialised.

    Args:
        arrays: A bundle's.
        side: Edge of the input.
    """
    nodes, constants = [], []
    numbers = iter(range(10_000))
    convolutions = iter(range(94))

    def constant(array: NDArray[Any]) -> str:
        name = f"c{next(numbers)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def add(operation: str, inputs: list[str], **attributes: Any) -> str:
        name = f"n{next(numbers)}"
        nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def step(one: Conv | Pool | Parallel, x: str) -> str:
        if isinstance(one, Parallel):
            return add("Concat", [along(path, x) for path in one.paths], axis=1)
        if isinstance(one, Pool):
            if one.kind == "max":
                return add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2])
            return add("AveragePool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
        kernel, bias = folded(arrays, f"conv_{next(convolutions):02d}")
        pads = [one.rows // 2, one.columns // 2] * 2 if one.padding == "same" else [0, 0, 0, 0]
        shape = [one.rows, one.columns]
        inputs = [x, constant(kernel), constant(bias.ravel())]
        return add("Relu", [add("Conv", inputs, kernel_shape=shape, strides=[one.stride] * 2, pads=pads)])

    def along(path: Path, x: str) -> str:
        for one in path:
            x = step(one, x)
        return x

    features = add("Flatten", [add("GlobalAveragePool", [along(inception_v3(), "pixels")])])
    weights = [constant(arrays["projection/kernel"]), constant(arrays["projection/bias"])]
    last = add("LpNormalization", [add("Gemm", [features, *weights])], axis=1, p=2)
    dim = len(arrays["projection/bias"])
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, side, side])
    templates = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", dim])
    graph = helper.make_graph(nodes, "branch", [pixels], [templates], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()
