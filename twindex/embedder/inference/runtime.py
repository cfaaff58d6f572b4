"""Running networks with OpenVINO: the one module that starts the inference engine.

Compiling a network takes longer than running it once, so a compiled network can be kept in a cache folder. Its name is
the SHA-256 of the network's identity, the precision, the OpenVINO version and the processor. If a kept network is
damaged, or OpenVINO refuses it, it is deleted and compiled again.
"""

import hashlib
import threading
from collections.abc import Callable
from functools import cache as once
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.inference.network_cache import discard_blob, read_blob, write_blob
from twindex.embedder.inference.openvino_import import openvino
from twindex.errors import BundleError
from twindex.types import UInt8

Precision = Literal["float32", "bfloat16"]

_DEVICE = "CPU"
_STARTING = threading.Lock()  # else two threads that load networks would each start an engine
_ARITHMETIC: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class Network:
    """A compiled network. Any number of threads may call it: each has its own inference request.

    Args:
        compiled: As OpenVINO compiled or imported it.
    """

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        self._dtypes = tuple(np.dtype(port.get_element_type().to_dtype()) for port in compiled.inputs)
        self._thread = threading.local()

    def __call__(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Run the network.

        Args:
            inputs: One array for each input, in the network's order and of its dtype.

        Returns:
            One new array for each output, in the network's order.

        Raises:
            ValueError: The number of inputs or a dtype is wrong.
        """
        given = tuple(array.dtype for array in inputs)
        if given != self._dtypes:
            # OpenVINO would cast silently: pixels given as floats from 0 to 1 would become black.
            raise ValueError(f"Expected inputs of {_names(self._dtypes)}, got {_names(given)}.")
        results = self._request().infer(dict(enumerate(inputs)), share_inputs=True)
        return tuple(results[port] for port in self._compiled.outputs)

    def _request(self) -> openvino.InferRequest:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        return self._thread.request


def read_onnx(path: Path) -> openvino.Model:
    """Read an ONNX file.

    Raises:
        BundleError: There is no such file, or OpenVINO cannot read it as a network.
    """
    try:
        return _core().read_model(path)
    except RuntimeError as error:
        raise BundleError(f"Cannot read the network {path}: expected an ONNX file, got: {_last_line(error)}") from error


def compile_network(
    model: openvino.Model, *, precision: Precision = "float32", cache: Path | None = None, streams: int = 1
) -> Network:
    """Compile a network for this computer's processor.

    Args:
        model: The network's graph.
        precision: Precision of the arithmetic; "bfloat16" is less exact, and faster on processors that support it.
        cache: Folder for compiled networks, made if missing; None keeps nothing.
        streams: Requests computed at the same time, each by one core; with 1, all cores compute one request. The
            results are the same to the bit.
    """
    settings = _settings(precision, streams)
    if cache is None:
        return Network(_compiled(model, settings))
    return _kept(lambda: model, graph_digest(model), settings, cache)


def load_network(
    build: Callable[[], openvino.Model], *, key: str, precision: Precision = "float32", cache: Path | None = None
) -> Network:
    """Load a network from the cache folder, or build, compile and keep it there.

    Args:
        build: Makes the graph; not called if the folder holds the network.
        key: Identity of the graph: graphs that compute differently have different keys.
        precision: As for `compile_network`.
        cache: As for `compile_network`.
    """
    settings = _settings(precision, streams=1)
    if cache is None:
        return Network(_compiled(build(), settings))
    return _kept(build, key, settings, cache)


def _kept(build: Callable[[], openvino.Model], key: str, settings: dict[str, str], cache: Path) -> Network:
    path = cache / f"{_blob_name(key, settings)}.blob"
    blob = read_blob(path)
    imported = None if blob is None else _imported(blob, path, settings)
    if imported is not None:
        return Network(imported)
    compiled = _compiled(build(), settings)
    write_blob(path, compiled.export_model().getbuffer())
    return Network(compiled)


def graph_digest(model: openvino.Model) -> str:
    """SHA-256 over everything that a graph computes: operations, attributes, constants and links, but not names."""
    digest = hashlib.sha256()
    numbers: dict[str, int] = {}
    for node in model.get_ordered_ops():
        numbers[node.get_name()] = len(numbers)
        sources = [(numbers[port.get_node().get_name()], port.get_index()) for port in node.input_values()]
        shapes = [f"{port.get_element_type()}{port.get_partial_shape()}" for port in node.outputs()]
        attributes = sorted((name, str(value)) for name, value in node.get_attributes().items())
        digest.update(repr((node.get_type_name(), sources, shapes, attributes)).encode())
        if node.get_type_name() == "Constant":
            digest.update(np.ascontiguousarray(node.get_data()).data)
    return digest.hexdigest()


def computes_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16. Without them, bfloat16 is many times slower."""
    return "BF16" in _abilities()


def _abilities() -> list[str]:
    return sorted(_core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))


def _core() -> openvino.Core:
    with _STARTING:
        return _started()


@once
def _started() -> openvino.Core:
    return openvino.Core()


def _settings(precision: Precision, streams: int) -> dict[str, str]:
    arithmetic = {"INFERENCE_PRECISION_HINT": _ARITHMETIC[precision]}
    if streams == 1:
        return {"PERFORMANCE_HINT": "LATENCY", **arithmetic}
    number = str(streams)
    return {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": number, "INFERENCE_NUM_THREADS": number, **arithmetic}


def _compiled(model: openvino.Model, settings: dict[str, str]) -> openvino.CompiledModel:
    return _core().compile_model(model, _DEVICE, settings)


def _imported(blob: UInt8, path: Path, settings: dict[str, str]) -> openvino.CompiledModel | None:
    try:
        return _core().import_model(openvino.Tensor(blob), _DEVICE, settings)
    except RuntimeError as error:
        discard_blob(path, _last_line(error))
        return None


def _blob_name(key: str, settings: dict[str, str]) -> str:
    """A file name that changes with everything that an exported network depends on."""
    processor = _core().get_property(_DEVICE, "FULL_DEVICE_NAME")
    identity = [key, openvino.__version__, processor, *_abilities(), *settings.values()]
    return hashlib.sha256("\0".join(identity).encode()).hexdigest()


def _names(dtypes: tuple[np.dtype[Any], ...]) -> str:
    return ", ".join(str(dtype) for dtype in dtypes) or "nothing"


def _last_line(error: RuntimeError) -> str:
    """The last line of OpenVINO's message, which says what is wrong; the lines above name places in its source."""
    return str(error).strip().splitlines()[-1]
