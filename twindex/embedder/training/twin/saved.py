"""A twin from outside: loaded from a file, and taken apart into the arrays that a bundle stores."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from twindex.embedder.inference.branch_graph import build_branch as build_graph
from twindex.embedder.inference.runtime import compile_network
from twindex.embedder.model.foreign_file import BUNDLE, kind_of_file, refusal
from twindex.embedder.model.inception import array_shapes
from twindex.embedder.model.weights import check_weights_header, decode_weights

# These modules register their classes with Keras, which finds no class of a file that nobody has imported.
from twindex.embedder.training.twin import moving_statistics, pairs  # noqa: F401
from twindex.embedder.training.twin.network import branch_arrays
from twindex.errors import BundleError, UsageError
from twindex.types import UInt8

_FARTHEST = 0.1  # between two computations of a template; bfloat16 explains half of it


def load_twin(path: Path) -> keras.Model:
    """A twin, or its branch, that was saved with `twin.save("twin.keras")`.

    Raises:
        UsageError: The file is missing, is not one of Keras' own format, or holds another model.
    """
    if path.suffix != ".keras" or not path.is_file():
        raise UsageError(f'Expected a file that twin.save("twin.keras") wrote; {path} is not one.')
    try:
        twin = keras.models.load_model(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"Keras cannot load {path}: {error}") from error
    branch_of(twin)
    return twin


def branch_of(model: keras.Model) -> keras.Model:
    """The branch of a twin, or of another model that calls one; a bare branch is its own.

    Raises:
        UsageError: There is no such branch, or there are several.
    """
    inside = [model, *(layer for layer in model.layers if isinstance(layer, keras.Model))]
    reasons = {id(part): _difference(part) for part in inside}
    branches = [part for part in inside if not reasons[id(part)]]
    if len(branches) == 1:
        return branches[0]
    if branches:
        raise UsageError(
            f"The model has {len(branches)} branches, each with weights of its own. A twin calls one branch twice, as "
            "twindex.siamese builds it."
        )
    raise UsageError(
        "The model has no branch that a gallery can use: InceptionV3, a Dense layer called projection, and unit "
        f"length, as twindex.siamese builds it. {reasons[id(inside[-1])]}"
    )


def read_weights_file(file: Path) -> dict[str, NDArray[np.float16]]:
    """The arrays of a bundle's weights file, wherever it lies.

    Raises:
        UsageError: It is missing.
        BundleError: It is not the weights file of a branch.
        ForeignFileError: The file is a pickle, a zip file or another in disguise.
    """
    if not file.is_file():
        raise UsageError(f"There is no weights file {file}.")
    if kind_of_file(file) in ("hdf5", "zip", "pickle"):
        raise refusal(file, BUNDLE)
    try:
        with safe_open(file, "numpy") as opened:
            (dim,) = opened.get_slice("projection/bias").get_shape()
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"{file} is not the weights file of a model, or is damaged: {error}.") from error
    check_weights_header(file, dim)
    return decode_weights(file.read_bytes(), dim)


def refuse_other_templates(branch: keras.Model, images: UInt8) -> None:
    """Compare a branch with what a gallery computes from its arrays.

    Args:
        branch: As `branch_of` returns it.
        images: A few faces, (n, height, width, 3) uint8 RGB, of the branch's size.

    Raises:
        UsageError: The templates differ: the branch scales pixels otherwise, for instance.
    """
    shape = tuple(branch.input_shape[1:])
    network = compile_network(build_graph(branch_arrays(branch), shape, mirror=False))
    own = keras.ops.convert_to_numpy(branch(images.astype(np.float32), training=False)).astype(np.float32)
    apart = float(np.linalg.norm(own - network(images)[0], axis=1).max())
    if not apart < _FARTHEST:
        raise UsageError(
            f"The branch computes other templates than a gallery would from its weights, {apart:.2f} apart. A gallery "
            "scales pixels from 0..255 to -1..1, and gives templates unit length, as twindex.siamese does."
        )


def _difference(model: Any) -> str:
    """How a model differs from a branch, in a sentence; empty if it does not."""
    try:
        arrays = branch_arrays(model)
        expected = array_shapes(model.output_shape[-1])
    except (ValueError, AttributeError, TypeError, IndexError) as error:
        return f"In {model.name!r}: {error}"
    different = [name for name, shape in expected.items() if arrays[name].shape != shape]
    return f"In {model.name!r}, {different[0]} has the shape {arrays[different[0]].shape}." if different else ""


def check_dim(arrays: dict[str, Any], dim: int) -> None:
    """Raise BundleError unless the arrays' templates have that length."""
    length = arrays["projection/bias"].shape[0]
    if length != dim:
        raise BundleError(f"The weights' templates have {length} values, not {dim}: give dim={length}.")
