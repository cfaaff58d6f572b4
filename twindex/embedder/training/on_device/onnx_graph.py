"""An ONNX network as a JAX function, so that a teacher runs beside its student in one compiled step.

Node by node, as the ONNX operator specification defines each. What depends on constants and shapes alone is computed
with NumPy while the function is traced, so the shape of the input has to be known then.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import numpy_helper

from twindex.errors import UsageError

Tensor = Any  # a NumPy array while constant, else a JAX one
Attributes = dict[str, Any]
_FARTHEST = 2**31  # beyond every axis: what exporters write for "to the end"


def load_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """A function from the network's one input to its first output.

    Raises:
        UsageError: The file is not an ONNX network of one input, or has an operator that is not known here.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # protobuf raises several kinds
        raise UsageError(f"Cannot read the network {path}: expected an ONNX file, got: {error}.") from error
    unknown = sorted({node.op_type for node in graph.node} - set(_OPERATORS))
    if unknown:
        raise UsageError(f"The network {path.name} has operators that cannot run here: {', '.join(unknown)}.")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UsageError(f"The network {path.name} has {len(inputs)} inputs; a teacher has one.")

    def network(given: Tensor) -> Tensor:
        values: dict[str, Tensor] = {**constants, inputs[0]: given, "": None}
        for node in graph.node:
            attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
            results = _OPERATORS[node.op_type]([values[name] for name in node.input], attributes)
            several = results if isinstance(results, list) else [results]
            values.update(zip(node.output, several, strict=False))
        return values[graph.output[0].name]

    return network


def _library(*tensors: Tensor) -> Any:
    """NumPy where all is constant, else JAX."""
    return jnp if any(isinstance(tensor, jax.Array) for tensor in tensors) else np


def _elementwise(name: str) -> Callable[[list[Tensor], Attributes], Tensor]:
    def operator(given: list[Tensor], _: Attributes) -> Tensor:
        return getattr(_library(*given), name)(*given)

    return operator


def _divide(given: list[Tensor], _: Attributes) -> Tensor:
    first, second = given
    library = _library(first, second)
    whole = np.issubdtype(np.asarray(first).dtype if library is np else first.dtype, np.integer)
    return library.floor_divide(first, second) if whole else library.divide(first, second)


def _constant(_: list[Tensor], attributes: Attributes) -> Tensor:
    return numpy_helper.to_array(attributes["value"])


def _filled(given: list[Tensor], attributes: Attributes) -> Tensor:
    value = numpy_helper.to_array(attributes["value"]) if "value" in attributes else np.zeros(1, np.float32)
    return np.full(tuple(np.asarray(given[0]).tolist()), value[0], value.dtype)


def _convolution(given: list[Tensor], attributes: Attributes) -> Tensor:
    if not isinstance(given[0], jax.Array):
        # A positional encoding, for instance: the compiler would fold it too, but takes minutes for a large batch.
        with jax.ensure_compile_time_eval():
            return np.asarray(_convolution([jnp.asarray(given[0]), *given[1:]], attributes))
    pixels, kernel, *bias = given
    places = kernel.ndim - 2
    pads = attributes.get("pads", [0] * 2 * places)
    result = jax.lax.conv_general_dilated(
        pixels,
        jnp.asarray(kernel, pixels.dtype),
        attributes.get("strides", [1] * places),
        list(zip(pads[:places], pads[places:], strict=True)),
        rhs_dilation=attributes.get("dilations", [1] * places),
        feature_group_count=attributes.get("group", 1),
    )
    return result + jnp.asarray(bias[0], result.dtype).reshape(1, -1, *[1] * places) if bias else result


def _layer_norm(given: list[Tensor], attributes: Attributes) -> Tensor:
    values, scale, *bias = given
    axes = tuple(range(attributes.get("axis", -1) % values.ndim, values.ndim))
    exact = values.astype(jnp.float32)
    centred = exact - exact.mean(axes, keepdims=True)
    variance = jnp.square(centred).mean(axes, keepdims=True)
    normal = centred * jax.lax.rsqrt(variance + attributes.get("epsilon", 1e-5)) * scale
    return (normal + bias[0] if bias else normal).astype(values.dtype)


def _transposed(given: list[Tensor], attributes: Attributes) -> Tensor:
    return _library(*given).transpose(given[0], attributes.get("perm"))


def _reshaped(given: list[Tensor], _: Attributes) -> Tensor:
    tensor, shape = given[0], np.asarray(given[1]).tolist()
    wanted = [tensor.shape[place] if length == 0 else length for place, length in enumerate(shape)]
    return tensor.reshape(wanted)


def _unsqueezed(given: list[Tensor], _: Attributes) -> Tensor:
    return _library(given[0]).expand_dims(given[0], tuple(np.asarray(given[1]).tolist()))


def _squeezed(given: list[Tensor], _: Attributes) -> Tensor:
    axes = tuple(np.asarray(given[1]).tolist()) if len(given) > 1 else None
    return _library(given[0]).squeeze(given[0], axes)


def _sliced(given: list[Tensor], _: Attributes) -> Tensor:
    tensor, starts, ends, *rest = given
    axes = np.asarray(rest[0]) if rest else np.arange(len(starts))
    steps = np.asarray(rest[1]) if len(rest) > 1 else np.ones(len(starts), np.int64)
    cut = [slice(None)] * tensor.ndim
    for start, end, axis, step in zip(np.asarray(starts), np.asarray(ends), axes, steps, strict=True):
        stop = None if abs(int(end)) >= _FARTHEST else int(end)
        cut[int(axis)] = slice(int(start), stop, int(step))
    return tensor[tuple(cut)]


def _split(given: list[Tensor], attributes: Attributes) -> list[Tensor]:
    tensor, axis = given[0], attributes.get("axis", 0)
    edges = np.cumsum(np.asarray(given[1]))[:-1].tolist()
    return list(_library(tensor).split(tensor, edges, axis))


def _cast(given: list[Tensor], attributes: Attributes) -> Tensor:
    return given[0].astype(onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _norm(given: list[Tensor], attributes: Attributes, *, keep: bool, divide: bool) -> Tensor:
    tensor = given[0].astype(jnp.float32)
    axes = attributes.get("axes", attributes.get("axis", -1))
    if len(given) > 1:
        axes = np.asarray(given[1]).tolist()
    places = tuple(axes) if isinstance(axes, list) else (axes,)
    length = jnp.sqrt(jnp.square(tensor).sum(places, keepdims=keep))
    return (tensor / length if divide else length).astype(given[0].dtype)


def _clipped(given: list[Tensor], _: Attributes) -> Tensor:
    low = given[1] if len(given) > 1 else None
    high = given[2] if len(given) > 2 else None
    return _library(given[0]).clip(given[0], low, high)


def _general_product(given: list[Tensor], attributes: Attributes) -> Tensor:
    first, second, *third = given
    first = first.T if attributes.get("transA", 0) else first
    second = second.T if attributes.get("transB", 0) else second
    product = attributes.get("alpha", 1.0) * (first @ second)
    return product + attributes.get("beta", 1.0) * third[0] if third else product


def _flattened(given: list[Tensor], attributes: Attributes) -> Tensor:
    return given[0].reshape(math.prod(given[0].shape[: attributes.get("axis", 1)]), -1)


_OPERATORS: dict[str, Callable[[list[Tensor], Attributes], Any]] = {
    **{name: _elementwise(name.lower()) for name in ("Add", "Sin", "Cos")},
    "Mul": _elementwise("multiply"),
    "Sub": _elementwise("subtract"),
    "Not": _elementwise("logical_not"),
    "MatMul": _elementwise("matmul"),
    "Div": _divide,
    "Erf": lambda given, _: jax.scipy.special.erf(given[0]),
    "Softmax": lambda given, attributes: jax.nn.softmax(given[0], axis=attributes.get("axis", -1)),
    "CumSum": lambda given, _: _library(given[0]).cumsum(given[0], int(np.asarray(given[1]))),
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Identity": lambda given, _: given[0],
    "Shape": lambda given, _: np.array(given[0].shape, np.int64),
    "Gather": lambda given, attributes: _library(*given).take(given[0], given[1], axis=attributes.get("axis", 0)),
    "Concat": lambda given, attributes: _library(*given).concatenate(given, attributes["axis"]),
    "Expand": lambda given, _: given[0] * _library(given[0]).ones(tuple(np.asarray(given[1]).tolist()), given[0].dtype),
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Slice": _sliced,
    "Split": _split,
    "Cast": _cast,
    "Clip": _clipped,
    "Conv": _convolution,
    "LayerNormalization": _layer_norm,
    "ReduceL2": lambda given, attributes: _norm(
        given, attributes, keep=bool(attributes.get("keepdims", 1)), divide=False
    ),
    "LpNormalization": lambda given, attributes: _norm(given, attributes, keep=True, divide=True),
    "GlobalAveragePool": lambda given, _: given[0].mean(tuple(range(2, given[0].ndim)), keepdims=True),
    "Flatten": _flattened,
    "Gemm": _general_product,
}
