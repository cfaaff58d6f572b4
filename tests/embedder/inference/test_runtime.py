"""Compiled networks: right results from every thread, and a cache folder that can be damaged without harm."""

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from twindex.embedder.inference.network_cache import read_blob, write_blob
from twindex.embedder.inference.openvino_import import openvino, ops
from twindex.embedder.inference.runtime import Network, compile_network, graph_digest, load_network, read_onnx
from twindex.errors import BundleError


def affine(scale: float = 2.0, shift: float = 1.0, *, saturate: bool = False) -> openvino.Model:
    """x -> scale * x + shift over (n, 3) float32, and the same plus 100 as the second output."""
    x = ops.parameter([-1, 3], np.float32)
    y = ops.add(ops.multiply(x, np.float32(scale)), np.float32(shift))
    first = ops.clamp(y, 0.0, 1.0) if saturate else y
    return openvino.Model([first, ops.add(y, np.float32(100))], [x], "affine")


def never() -> openvino.Model:
    raise AssertionError("The graph was built although the cache has the network.")


def row(value: float) -> np.ndarray:
    return np.full((1, 3), value, np.float32)


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A cache folder with one network, `affine()` under the key "affine"."""
    load_network(affine, key="affine", cache=tmp_path)
    return tmp_path


def only_blob(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_outputs_come_in_order() -> None:
    first, second = compile_network(affine())(row(3))
    assert first.tolist() == [[7, 7, 7]]
    assert second.tolist() == [[107, 107, 107]]


def test_outputs_are_not_overwritten_by_the_next_call() -> None:
    network = compile_network(affine())
    first, _ = network(row(1))
    network(row(9))
    assert first.tolist() == [[3, 3, 3]]


def test_inputs_may_be_read_only_or_strided() -> None:
    network = compile_network(affine(1, 0))
    columns = np.arange(6, dtype=np.float32).reshape(3, 2)
    columns.flags.writeable = False
    assert network(columns.T)[0].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert columns.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_any_number_of_rows_works_after_any_other() -> None:
    network = compile_network(affine(1, 0))
    for count in (1, 5, 2, 0, 3):
        rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
        np.testing.assert_array_equal(network(rows)[0], rows)


def test_another_dtype_is_refused_and_not_cast() -> None:
    with pytest.raises(ValueError, match="Expected inputs of float32, got float64"):
        compile_network(affine())(np.zeros((1, 3)))


def test_a_missing_input_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected inputs of float32, got nothing"):
        compile_network(affine())()


def test_threads_do_not_mix_their_results() -> None:
    network = compile_network(affine(1, 0))

    def call(value: int) -> list[float]:
        return [float(network(row(value))[0][0, 0]) for _ in range(20)]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(8))) == [[float(value)] * 20 for value in range(8)]


def test_a_kept_network_is_not_built_again_and_computes_the_same(cached: Path) -> None:
    network = load_network(never, key="affine", cache=cached)
    assert network(row(3))[0].tolist() == [[7, 7, 7]]


def test_a_kept_file_is_a_hash_and_the_network(cached: Path) -> None:
    stored = only_blob(cached).read_bytes()
    assert stored[:32] == hashlib.sha256(stored[32:]).digest()
    assert only_blob(cached).suffix == ".blob"


def test_each_key_and_precision_has_its_own_network(cached: Path) -> None:
    other = load_network(lambda: affine(5), key="other", cache=cached)
    assert other(row(1))[0].tolist() == [[6, 6, 6]]
    load_network(affine, key="affine", precision="bfloat16", cache=cached)
    assert len(list(cached.iterdir())) == 3


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def rehashed_rubbish(_: bytes) -> bytes:
    return hashlib.sha256(b"rubbish").digest() + b"rubbish"


@pytest.mark.parametrize(
    "damage",
    [flip, rehashed_rubbish, lambda content: content[:-1], lambda content: content[:10], lambda content: b""],
    ids=["flipped", "refused by OpenVINO", "truncated", "without content", "empty"],
)
def test_a_damaged_file_is_replaced(
    cached: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    path = only_blob(cached)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        network = load_network(affine, key="affine", cache=cached)
    assert network(row(3))[0].tolist() == [[7, 7, 7]]
    assert "Discarding the compiled network" in caplog.text
    assert load_network(never, key="affine", cache=cached)(row(3))[0].tolist() == [[7, 7, 7]]


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    occupied = tmp_path / "cache"
    occupied.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        network = load_network(affine, key="affine", cache=occupied)
    assert network(row(3))[0].tolist() == [[7, 7, 7]]
    assert "Cannot keep the compiled network" in caplog.text


def test_a_kept_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    write_blob(tmp_path / "one.blob", b"content")
    assert list(tmp_path.iterdir()) == []
    assert read_blob(tmp_path / "one.blob") is None


def test_a_graph_is_kept_by_what_it_computes(tmp_path: Path) -> None:
    assert compile_network(affine(), cache=tmp_path)(row(1))[0].tolist() == [[3, 3, 3]]
    assert compile_network(affine(3), cache=tmp_path)(row(1))[0].tolist() == [[4, 4, 4]]
    assert compile_network(affine(), cache=tmp_path)(row(1))[0].tolist() == [[3, 3, 3]]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_digest_covers_constants_attributes_operations_and_links() -> None:
    x, y = (ops.parameter([-1, 3], np.float32) for _ in range(2))
    forwards = openvino.Model([ops.subtract(x, y)], [x, y], "same")
    backwards = openvino.Model([ops.subtract(y, x)], [x, y], "same")
    graphs = [affine(), affine(shift=2), affine(saturate=True), forwards, backwards]
    digests = [graph_digest(graph) for graph in graphs]
    assert len(set(digests)) == len(graphs)
    assert graph_digest(affine()) == digests[0]


def test_bfloat16_rounds() -> None:
    x = ops.parameter([-1, 64], np.float32)
    weights = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    model = openvino.Model([ops.matmul(x, weights, False, False)], [x], "product")
    rows = np.random.default_rng(2).normal(size=(4, 64)).astype(np.float32)
    np.testing.assert_allclose(compile_network(model)(rows)[0], rows @ weights, atol=1e-4)
    np.testing.assert_allclose(compile_network(model, precision="bfloat16")(rows)[0], rows @ weights, atol=0.2)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return bytes([number << 3 | 2, len(content)]) + content


def onnx_relu() -> bytes:
    """A complete ONNX file, IR version 8 and opset 13: out = Relu(in) over (1, 3) float32."""
    sizes = b"".join(field(1, bytes([1 << 3, size])) for size in (1, 3))
    tensor = field(1, bytes([1 << 3, 1]) + field(2, sizes))
    node = field(1, b"in") + field(2, b"out") + field(4, b"Relu")
    graph = field(1, node) + field(2, b"g") + field(11, field(1, b"in") + field(2, tensor))
    graph += field(12, field(1, b"out") + field(2, tensor))
    return bytes([1 << 3, 8]) + field(7, graph) + field(8, bytes([2 << 3, 13]))


def test_an_onnx_file_is_read_and_run(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    path.write_bytes(onnx_relu())
    network = compile_network(read_onnx(path))
    assert isinstance(network, Network)
    assert network(np.array([[-1, 0, 2]], np.float32))[0].tolist() == [[0, 0, 2]]


@pytest.mark.parametrize("content", [None, b"", b"hello", onnx_relu()[:40]])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "relu.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"Cannot read the network .*relu\.onnx: expected an ONNX file"):
        read_onnx(path)
