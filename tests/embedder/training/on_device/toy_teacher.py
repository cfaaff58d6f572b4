"""A small ONNX network with the operators of face models, drawn at random."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIM = 16
_WIDTH = 8


def toy_teacher(path: Path, seed: int = 5) -> Path:
    """Write a network from (n, 3, 112, 112) to (n, 16): patches, a grouped convolution, attention, and a projection."""
    random = np.random.default_rng(seed)
    arrays = {
        "patches": random.normal(size=(_WIDTH, 3, 28, 28)) / 400,
        "patch_bias": random.normal(size=_WIDTH) / 4,
        "depthwise": random.normal(size=(_WIDTH, 1, 3, 3)) / 3,
        "scale": random.normal(size=_WIDTH),
        "shift": random.normal(size=_WIDTH) / 4,
        "expand": random.normal(size=(_WIDTH, 3 * _WIDTH)) / 3,
        "project": random.normal(size=(DIM, _WIDTH)),
        "project_bias": random.normal(size=DIM) / 4,
        "half": np.float32(0.5),
        "one": np.float32(1.0),
        "root": np.float32(np.sqrt(2)),
        "low": np.float32(-3.0),
        "high": np.float32(3.0),
    }
    indices = {"tokens": [0, _WIDTH, 16], "thirds": [_WIDTH] * 3, "first": [0], "end": [2**63 - 1], "last": [-1]}
    nodes = [
        ("Conv", ["pixels", "patches", "patch_bias"], ["grid"], {"kernel_shape": [28, 28], "strides": [28, 28]}),
        ("Conv", ["grid", "depthwise"], ["local"], {"group": _WIDTH, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}),
        ("Add", ["grid", "local"], ["seen"], {}),
        ("Reshape", ["seen", "tokens"], ["rows"], {}),
        ("Transpose", ["rows"], ["columns"], {"perm": [0, 2, 1]}),
        ("LayerNormalization", ["columns", "scale", "shift"], ["even"], {"axis": -1, "epsilon": 1e-6}),
        ("MatMul", ["even", "expand"], ["three"], {}),
        ("Split", ["three", "thirds"], ["query", "key", "value"], {"axis": -1}),
        ("LpNormalization", ["query"], ["unit"], {"axis": -1}),
        ("Transpose", ["key"], ["turned"], {"perm": [0, 2, 1]}),
        ("MatMul", ["unit", "turned"], ["alike"], {}),
        ("Softmax", ["alike"], ["weights"], {"axis": -1}),
        ("MatMul", ["weights", "value"], ["attended"], {}),
        ("Div", ["attended", "root"], ["halved"], {}),
        ("Erf", ["halved"], ["bent"], {}),
        ("Add", ["bent", "one"], ["gate"], {}),
        ("Mul", ["attended", "gate"], ["gelu"], {}),
        ("Mul", ["gelu", "half"], ["active"], {}),
        ("Slice", ["active", "first", "end", "last"], ["kept"], {}),
        ("Clip", ["kept", "low", "high"], ["clipped"], {}),
        ("Transpose", ["clipped"], ["channels"], {"perm": [0, 2, 1]}),
        ("Unsqueeze", ["channels", "last"], ["plane"], {}),
        ("GlobalAveragePool", ["plane"], ["pooled"], {}),
        ("Flatten", ["pooled"], ["flat"], {"axis": 1}),
        ("Gemm", ["flat", "project", "project_bias"], ["embedding"], {"transB": 1}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **attributes) for kind, given, made, attributes in nodes],
        "toy",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in arrays.items()]
        + [numpy_helper.from_array(np.array(numbers, np.int64), name) for name, numbers in indices.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
