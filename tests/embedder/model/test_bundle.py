"""Bundles: written whole, read back exactly, and refused for every kind of damage."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from twindex.embedder.model.bundle import CARD_FILE, WEIGHTS_FILE, Bundle, copy_bundle, load_bundle, write_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.model.inception import array_shapes
from twindex.embedder.model.weights import check_weights_header, decode_weights
from twindex.errors import BundleError, UsageError

Arrays = Mapping[str, NDArray[np.float32]]
MakeCard = Callable[..., Card]
DIM = 16


@pytest.fixture
def copied(random_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(random_bundle.path, tmp_path / "copied"))


def header_of(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16") -> dict[str, Any]:
    """A safetensors header for arrays that lie one behind the other."""
    header, start = {}, 0
    for name, shape in shapes.items():
        end = start + 2 * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    return header


def write_header(file: Path, header: object, data_bytes: int | None = None) -> Path:
    """A weights file with that header and zeros as its data; it takes no room on disk."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = 2 * sum(int(np.prod(shape)) for shape in array_shapes(DIM).values()) if data_bytes is None else data_bytes
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(file, 8 + len(text) + length)
    return file


def test_a_bundle_is_read_as_it_was_written(random_bundle: Bundle, random_arrays: Arrays) -> None:
    loaded = load_bundle(random_bundle.path)
    assert loaded == random_bundle
    arrays = loaded.arrays()
    assert arrays.keys() == random_arrays.keys()
    for name, array in random_arrays.items():
        np.testing.assert_array_equal(arrays[name], array.astype(np.float16), err_msg=name, strict=True)


def test_the_card_holds_the_hash_of_the_weights_file(random_bundle: Bundle) -> None:
    content = (random_bundle.path / WEIGHTS_FILE).read_bytes()
    stored = json.loads((random_bundle.path / CARD_FILE).read_text("utf-8"))
    assert stored["weights_sha256"] == hashlib.sha256(content).hexdigest() == random_bundle.card.weights_sha256


def test_equal_weights_make_equal_files(random_bundle: Bundle, tmp_path: Path) -> None:
    backwards = dict(reversed(random_bundle.arrays().items()))
    again = write_bundle(tmp_path / "again", backwards, random_bundle.card)
    assert again.card.fingerprint == random_bundle.card.fingerprint


def test_a_card_keeps_its_texts(random_arrays: Arrays, make_card: MakeCard, tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "new" / "deep", random_arrays, make_card(terms="Nur für Zoë: ≤ 3."))
    assert load_bundle(written.path).card.terms == "Nur für Zoë: ≤ 3."


def test_a_bundle_is_never_overwritten(random_bundle: Bundle, random_arrays: Arrays, make_card: MakeCard) -> None:
    with pytest.raises(UsageError, match="exists already"):
        write_bundle(random_bundle.path, random_arrays, make_card())


def test_a_failed_write_leaves_nothing_behind(
    random_arrays: Arrays, make_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(tmp_path / "bundle", random_arrays, make_card())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("projection/bias", np.zeros(DIM + 1), r"projection/bias of shape \(17,\), expected \(16,\)"),
        ("conv_00/kernel", np.zeros((3, 3, 32, 3)), "conv_00/kernel of shape"),
        ("conv_00/gamma", np.zeros(32), "missing or unknown names, such as 'conv_00/gamma'"),
        ("projection/bias", np.full(DIM, np.nan), "projection/bias that are not finite"),
        ("projection/bias", np.full(DIM, 1e5), "projection/bias that are not finite in float16"),
        ("conv_00/variance", np.full(32, -0.1), "negative numbers in conv_00/variance"),
    ],
)
def test_weights_that_are_not_a_branch_are_not_written(
    random_arrays: Arrays, make_card: MakeCard, tmp_path: Path, name: str, value: NDArray[np.float64], reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        write_bundle(tmp_path / "bundle", {**random_arrays, name: value}, make_card())
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_the_same_model(random_bundle: Bundle, tmp_path: Path) -> None:
    copy = copy_bundle(random_bundle, tmp_path / "copy")
    assert load_bundle(copy.path).card == random_bundle.card
    assert (copy.path / WEIGHTS_FILE).read_bytes() == (random_bundle.path / WEIGHTS_FILE).read_bytes()


def test_changed_weights_are_refused(copied: Path) -> None:
    with (copied / WEIGHTS_FILE).open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-100, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(BundleError, match="not what the model's card describes"):
        load_bundle(copied)
    unverified = load_bundle(copied, verify=False)
    with pytest.raises(BundleError, match="not what the model's card describes"):
        unverified.arrays()
    with pytest.raises(BundleError, match="not what the model's card describes"):
        copy_bundle(unverified, copied.parent / "copy")


@pytest.mark.parametrize("change", [-1, 1])
def test_weights_of_another_length_are_refused_without_reading_them(copied: Path, change: int) -> None:
    file = copied / WEIGHTS_FILE
    os.truncate(file, file.stat().st_size + change)
    with pytest.raises(BundleError, match="it is damaged"):
        load_bundle(copied, verify=False)


def test_weights_that_grow_after_opening_are_refused(copied: Path) -> None:
    bundle = load_bundle(copied)
    os.truncate(copied / WEIGHTS_FILE, 1 << 40)
    with pytest.raises(BundleError, match="a branch's weights have at most"):
        bundle.arrays()


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_folder_without_one_of_the_files_is_not_a_bundle(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"not a model bundle: it has no file {name}"):
        load_bundle(copied)


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_pipe_is_refused_without_waiting(copied: Path, name: str) -> None:
    (copied / name).unlink()
    os.mkfifo(copied / name)
    with pytest.raises(BundleError, match=f"it has no file {name}"):
        load_bundle(copied)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"head_weight": NaN}',
        b"[" * 100_000,
        b'{"dim": ' + b"9" * 5000 + b"}",
        b'{"accuracy": {"pairs": 1e999}}',
        b'{"terms": "\\ud800"}',
    ],
    ids=["empty", "cut off", "not UTF-8", "NaN", "too deep", "too many digits", "infinite", "half a character"],
)
def test_a_card_that_is_not_json_is_refused(copied: Path, content: bytes) -> None:
    (copied / CARD_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=r"card\.json is not valid JSON"):
        load_bundle(copied)


def test_an_endless_card_is_refused_without_reading_it(copied: Path) -> None:
    os.truncate(copied / CARD_FILE, 1 << 40)
    with pytest.raises(BundleError, match="a card has at most 1048576"):
        load_bundle(copied)


def test_a_card_of_another_dim_does_not_fit_the_weights(copied: Path) -> None:
    values = json.loads((copied / CARD_FILE).read_text("utf-8"))
    (copied / CARD_FILE).write_text(json.dumps({**values, "dim": 32}))
    with pytest.raises(BundleError, match=r"projection/kernel of shape \[2048, 16\], expected \(2048, 32\)"):
        load_bundle(copied)


def test_a_well_formed_header_passes(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "np"}, **header_of(array_shapes(DIM))}
    check_weights_header(write_header(tmp_path / "w", header), DIM)


SHAPES = array_shapes(DIM)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (header_of(SHAPES, "F32"), "arrays of dtype F32; expected F16"),
        ({}, "arrays of dtype none; expected F16"),
        ({**header_of(SHAPES), "extra": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}, "such as 'extra'"),
        (header_of({**SHAPES, "projection/bias": (1 << 40,)}), r"projection/bias of shape \[1099511627776\]"),
        ({**header_of(SHAPES), "projection/bias": {"dtype": "F16"}}, "projection/bias of shape None"),
        ({**header_of(SHAPES), "projection/bias": 5}, "arrays of dtype F16, None"),
        ([], "its header is not an object"),
        (b"{", "its header is not JSON"),
        (b"", "its header is not JSON"),
        (b"[" * 100_000, "its header is not JSON"),
    ],
)
def test_a_header_that_is_not_a_branchs_is_refused(tmp_path: Path, header: object, reason: str) -> None:
    file = write_header(tmp_path / "w", header)
    with pytest.raises(BundleError, match=reason):
        check_weights_header(file, DIM)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "w"
    file.write_bytes((1 << 40).to_bytes(8, "little"))
    with pytest.raises(BundleError, match="its header would be 1099511627776 bytes long"):
        check_weights_header(file, DIM)


def test_weights_with_the_right_hash_are_still_checked_before_use(random_arrays: Arrays) -> None:
    halves = {name: array.astype(np.float16) for name, array in random_arrays.items()}
    with pytest.raises(BundleError, match="not a safetensors file"):
        decode_weights(b"rubbish", DIM)
    with pytest.raises(BundleError, match="such as 'projection/bias'"):
        decode_weights(save({name: array for name, array in halves.items() if name != "projection/bias"}), DIM)
    with pytest.raises(BundleError, match="conv_93/mean that are not finite"):
        decode_weights(save({**halves, "conv_93/mean": np.full(192, np.inf, np.float16)}), DIM)
