"""Files from strangers: refused with a reason, nothing run, little memory used."""

import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from twindex.embedder.model.bundle import load_bundle
from twindex.embedder.model.registry import install_model
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.initial.checked_file import check_weights_file
from twindex.embedder.training.initial.folded import _expected_shapes as folded_shapes
from twindex.embedder.training.initial.hdf5 import _expected_shapes as hdf5_shapes
from twindex.embedder.training.initial.hdf5 import check_hdf5_weights
from twindex.embedder.training.run import TrainingRun
from twindex.errors import FOREIGN_REASONS, ForeignFileError, UsageError

MEBIBYTE = 1 << 20


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._path),)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """What a stranger's program would make."""
    return tmp_path / "sprung"


def refused(file: Path, code: str, match: str, sprung: Path) -> None:
    """As initial weights and as a model: that code for weights, no program run, no memory claimed."""
    tracemalloc.start()
    with pytest.raises(ForeignFileError, match=match) as error:
        check_weights_file(file)
    with pytest.raises(ForeignFileError, match=r"Give the folder that `twindex train` wrote"):
        install_model(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.value.code == code
    assert error.value.exit_code == 6
    assert peak < 8 * MEBIBYTE
    assert not sprung.exists()


def write_npz(file: Path, **changed: np.ndarray) -> None:
    """Folded weights of zeros, biases alone, with some arrays changed."""
    arrays = {name: np.zeros(shape, np.float16) for name, shape in folded_shapes().items() if name.endswith("bias")}
    np.savez_compressed(file, **{**arrays, **changed})


def write_hdf5(file: Path, change: Callable[[h5py.File], object]) -> None:
    """Weights with the names that Keras gives them and one number each, as shapes are compared last; then changed."""
    with h5py.File(file, "w") as opened:
        for name, _ in hdf5_shapes():
            opened.create_dataset(name, data=np.zeros(1, np.float16))
        change(opened)


def replace_first(opened: h5py.File) -> str:
    del opened["layers/conv2d/vars/0"]
    return "layers/conv2d/vars/0"


def test_a_pickle_under_any_name(tmp_path: Path, sprung: Path) -> None:
    for name in ("model.pkl", "weights.npz", "weights.weights.h5", "model.keras"):
        for protocol in (2, 5):
            (tmp_path / name).write_bytes(pickle.dumps(Trap(sprung), protocol))
            refused(tmp_path / name, "pickled", "holds a pickle", sprung)


def test_arrays_of_objects(tmp_path: Path, sprung: Path) -> None:
    objects = np.array([Trap(sprung)], object)
    write_npz(tmp_path / "w.npz", **{"conv/bias": objects})
    refused(tmp_path / "w.npz", "pickled", "conv/bias holds objects", sprung)
    assert np.load(tmp_path / "w.npz", allow_pickle=True)["conv/bias"].shape == (1,)  # the trap works
    assert sprung.exists()


def test_a_torch_file(tmp_path: Path, sprung: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap(sprung)))
    refused(tmp_path / "w.pt", "pickled", "holds a pickle", sprung)


def write_keras(file: Path, layer: dict[str, object]) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "InputLayer", "config": {}}, layer]}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize("name", ["model.keras", "weights.npz", "w.weights.h5"])
def test_a_lambda_layer(tmp_path: Path, sprung: Path, name: str) -> None:
    code = {"class_name": "__lambda__", "config": {"code": f"open({str(sprung)!r}, 'w')"}}
    write_keras(tmp_path / name, {"class_name": "Lambda", "config": {"function": code}})
    with pytest.raises(ForeignFileError, match="Give the folder") as error:
        install_model(tmp_path / name)
    assert error.value.code == "runs_code"
    assert not sprung.exists()
    if name.endswith(".keras"):
        refused(tmp_path / name, "runs_code", "saved network with Lambda", sprung)


def test_a_whole_network_without_a_program(tmp_path: Path, sprung: Path) -> None:
    write_keras(tmp_path / "m.keras", {"class_name": "Dense", "config": {}})
    refused(tmp_path / "m.keras", "not_weights", "only its weights are needed", sprung)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"just a text\n" * 99,
        "ä".encode() * 600,
        b"\0" * 600,
        b"PK\x03\x04" + bytes(99),
        b"\x89HDF\r\n\x1a\n",
    ],
)
@pytest.mark.parametrize("name", ["w.npz", "w.weights.h5", "w.keras"])
def test_other_files_in_disguise(tmp_path: Path, sprung: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "not_weights", r"Give a \.npz file", sprung)


def test_a_zip_file_of_something_else(tmp_path: Path, sprung: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    refused(tmp_path / "w.npz", "wrong_arrays", "unknown", sprung)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("conv/bias", np.zeros(31, np.float16), r"of shape \(31,\), expected"),
        ("conv/bias", np.zeros(32, np.int64), "is int64"),
        ("conv/bias", np.array(["x" * 9] * 32), "is <U9"),
        ("conv_1/kernel", np.zeros((3, 3, 8, 8), np.float16), "conv_1/kernel is"),
        ("other", np.zeros(1), "'other' that is unknown"),
    ],
)
def test_npz_arrays_of_another_architecture(
    tmp_path: Path, sprung: Path, name: str, array: np.ndarray, match: str
) -> None:
    write_npz(tmp_path / "w.npz", **{name: array})
    refused(tmp_path / "w.npz", "wrong_arrays", match, sprung)


def test_an_npz_header_that_claims_terabytes(tmp_path: Path, sprung: Path) -> None:
    for shape, code in (((1 << 40,), "wrong_arrays"), ((32,), "too_large")):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
            archive.writestr("conv/bias.npy", header.getvalue())
        refused(tmp_path / "w.npz", code, "conv/bias", sprung)


def test_npz_without_its_biases(tmp_path: Path, sprung: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"conv/bias": np.zeros(32, np.float16)})
    refused(tmp_path / "w.npz", "wrong_arrays", "has no conv_1/bias", sprung)


def write_kernels(file: Path, count: int) -> None:
    kernels = [name for name in folded_shapes() if name.endswith("kernel")][:count]
    write_npz(file, **{name: np.zeros(folded_shapes()[name], np.float16) for name in kernels})


def test_folded_weights_without_a_few_kernels_pass(tmp_path: Path) -> None:
    write_kernels(tmp_path / "w.npz", 90)
    check_weights_file(tmp_path / "w.npz")


def test_folded_weights_without_many_kernels_are_refused(tmp_path: Path, sprung: Path) -> None:
    write_kernels(tmp_path / "w.npz", 89)
    refused(tmp_path / "w.npz", "wrong_arrays", "lacks 5 kernels, expected 4 at most", sprung)


def external(opened: h5py.File) -> None:
    opened.create_dataset(replace_first(opened), (3, 3, 3, 32), np.float32, external=[("/etc/passwd", 0, 3456)])


def linked(opened: h5py.File) -> None:
    opened[replace_first(opened)] = h5py.ExternalLink("/etc/other.h5", "/x")


def soft_linked(opened: h5py.File) -> None:
    opened[replace_first(opened)] = h5py.SoftLink("/layers/conv2d_1/vars/0")


def virtual(opened: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 3, 3, 32), np.float32)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (3, 3, 3, 32))
    opened.create_virtual_dataset(replace_first(opened), layout)


def absurd(opened: h5py.File) -> None:
    opened.create_dataset(replace_first(opened), (1 << 30, 1 << 10), np.float64)


def compressed(opened: h5py.File) -> None:
    opened.create_dataset(
        replace_first(opened), (1 << 14, 1 << 14), np.float32, compression="gzip", chunks=(1, 1 << 14)
    )


def of_texts(opened: h5py.File) -> None:
    opened.create_dataset(replace_first(opened), data=["text"])


def of_references(opened: h5py.File) -> None:
    opened.create_dataset(replace_first(opened), (4,), h5py.ref_dtype)


def named_type(opened: h5py.File) -> None:
    opened[replace_first(opened)] = np.dtype("f4")


def deep(opened: h5py.File) -> None:
    opened["layers/again"] = opened["layers"]


def many(opened: h5py.File) -> None:
    for number in range(4_000):
        opened.create_group(f"more/{number}")


def long_attribute(opened: h5py.File) -> None:
    opened["layers"].attrs["name"] = np.zeros(7_000, np.int64)


@pytest.mark.parametrize(
    ("change", "code", "match"),
    [
        (external, "outside_data", "read from another file"),
        (linked, "outside_data", "is a link"),
        (soft_linked, "outside_data", "is a link"),
        (virtual, "outside_data", "read from another file"),
        (absurd, "too_large", "claims 8796093022208 bytes"),
        (compressed, "wrong_arrays", "compressed or in pieces"),
        (of_texts, "wrong_arrays", "expected numbers"),
        (of_references, "wrong_arrays", "expected numbers"),
        (named_type, "wrong_arrays", "is no array"),
        (deep, "wrong_arrays", "more or deeper"),
        (many, "wrong_arrays", "more or deeper"),
        (long_attribute, "too_large", "larger attributes"),
        (replace_first, "wrong_arrays", "missing or unknown arrays, such as 'layers/conv2d/vars/0'"),
    ],
)
def test_hdf5_files_that_are_refused(
    tmp_path: Path, sprung: Path, change: Callable[[h5py.File], object], code: str, match: str
) -> None:
    file = tmp_path / "w.weights.h5"
    write_hdf5(file, change)
    refused(file, code, match, sprung)


def test_hdf5_arrays_of_the_right_shapes_without_numbers(tmp_path: Path, sprung: Path) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as opened:
        for name, shape in hdf5_shapes():
            opened.create_dataset(name, shape, np.float16, fillvalue=0)
    refused(tmp_path / "w.weights.h5", "too_large", "the file holds 0 of it", sprung)


def test_hdf5_shapes_are_the_architectures(tmp_path: Path, sprung: Path) -> None:
    write_hdf5(tmp_path / "w.weights.h5", lambda opened: None)
    refused(
        tmp_path / "w.weights.h5",
        "wrong_arrays",
        r"376 arrays of shapes that InceptionV3 has not, such as \(1,\)",
        sprung,
    )


def test_sound_hdf5_weights_pass(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as opened:
        for name, shape in hdf5_shapes():
            opened.create_dataset(name, data=np.zeros(shape, np.float16))
    check_weights_file(tmp_path / "w.weights.h5")


def test_a_damaged_hdf5_file_never_causes_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "w.weights.h5"
    write_hdf5(file, lambda opened: None)
    whole, random = file.read_bytes(), np.random.default_rng(3)
    for _ in range(40):
        data = bytearray(whole)
        for place in random.integers(8, len(data), 20):
            data[place] = random.integers(256)
        file.write_bytes(bytes(data[: random.integers(9, len(data) + 1)]))
        with pytest.raises(ForeignFileError, match="Give a"):
            check_hdf5_weights(file)


def test_a_small_file_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "w.weights.h5"
    with h5py.File(file, "w") as opened:
        opened.create_dataset("layers/conv2d/vars/0", (1 << 20, 1 << 10), np.float32)
    assert file.stat().st_size < 20_000
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from twindex.embedder.training.initial.checked_file import check_weights_file\n"
        "from twindex.errors import ForeignFileError\nimport twindex.embedder.training.initial.hdf5\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: check_weights_file(Path(sys.argv[1]))\n"
        "except ForeignFileError as error: print(error.code)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    reason, kibibytes = ran.stdout.split()
    assert reason == "too_large"
    assert int(kibibytes) < 32 * 1024


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (pickle.dumps({"weights": 1}), "pickled"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "not_weights"),
        (b"PK\x03\x04" + bytes(600), "not_weights"),
    ],
)
def test_a_bundle_with_another_file_instead_of_its_weights(
    tmp_path: Path, make_card: Callable[..., object], content: bytes, code: str
) -> None:
    card = make_card(weights_sha256="0" * 64)
    (tmp_path / "card.json").write_text(json.dumps(card.to_json()))  # type: ignore[attr-defined]  # a Card
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(ForeignFileError, match="Give the folder") as error:
        load_bundle(tmp_path)
    assert error.value.code == code


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.npz")
    with pytest.raises(ForeignFileError, match="is not a file"):
        check_weights_file(tmp_path / "w.npz")


def test_a_training_run_refuses_before_it_reads(tmp_path: Path, sprung: Path) -> None:
    (tmp_path / "w.npz").write_bytes(pickle.dumps(Trap(sprung)))
    faces = TrainingFaces.__new__(TrainingFaces)
    run = TrainingRun(faces, None, tmp_path, weights=str(tmp_path / "w.npz"))  # type: ignore[arg-type]  # not looked at
    with pytest.raises(ForeignFileError, match="holds a pickle"):
        run.weights_origin()
    missing = TrainingRun(faces, None, tmp_path, weights=str(tmp_path / "none.npz"))  # type: ignore[arg-type]  # same
    with pytest.raises(UsageError, match="Cannot read"):
        missing.weights_origin()
    assert not sprung.exists()


def test_every_reason_is_known() -> None:
    with pytest.raises(ValueError, match="Unknown reason 'other'"):
        ForeignFileError("other", "text")
    assert len(set(FOREIGN_REASONS)) == 6
