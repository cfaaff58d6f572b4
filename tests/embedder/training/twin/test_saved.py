from pathlib import Path

import numpy as np
import pytest

from tests.embedder.training.test_loop import small_branch
from twindex.embedder.model.bundle import WEIGHTS_FILE, Bundle
from twindex.embedder.training.twin.network import build_twin
from twindex.embedder.training.twin.saved import branch_of, load_twin, read_weights_file
from twindex.errors import BundleError, ForeignFileError, UsageError


def test_a_twin_over_another_network_is_refused(tmp_path: Path) -> None:
    twin = build_twin(small_branch((75, 75, 3), 8))
    with pytest.raises(UsageError, match=r"no branch that a gallery can use.*Expected InceptionV3's 94 convolutions"):
        branch_of(twin)
    twin.save(tmp_path / "twin.keras")
    with pytest.raises(UsageError, match="no branch that a gallery can use"):
        load_twin(tmp_path / "twin.keras")


@pytest.mark.parametrize("name", ["missing.keras", "twin.h5"])
def test_what_is_not_a_saved_twin_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "twin.h5").write_bytes(b"any")
    with pytest.raises(UsageError, match=r'Expected a file that twin\.save\("twin\.keras"\) wrote'):
        load_twin(tmp_path / name)


def test_a_file_that_keras_cannot_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twin.keras").write_bytes(b"no zip file")
    with pytest.raises(UsageError, match="Keras cannot load"):
        load_twin(tmp_path / "twin.keras")


def test_a_weights_file_is_read_wherever_it_lies(random_bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "given.safetensors"
    file.write_bytes((random_bundle.path / WEIGHTS_FILE).read_bytes())
    arrays, expected = read_weights_file(file), random_bundle.arrays()
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_another_file_is_no_weights_file(random_bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes((random_bundle.path / WEIGHTS_FILE).read_bytes()[:-8])
    with pytest.raises(BundleError, match="not the weights file of a model, or is damaged"):
        read_weights_file(file)
    file.write_bytes(b"\x80\x04N.")
    with pytest.raises(ForeignFileError, match="pickle"):
        read_weights_file(file)
    with pytest.raises(UsageError, match="There is no weights file"):
        read_weights_file(tmp_path / "missing.safetensors")
