"""From a trained branch to a bundle: float16 weights, and a card measured on subjects not trained on."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from twindex.embedder.embedder import Embedder
from twindex.embedder.inference.quantisation import FACES, activation_ranges
from twindex.embedder.model.bundle import Bundle, load_bundle, write_bundle
from twindex.embedder.model.card import ALIGNMENTS, Card
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.head import Calibration, PairDistances, calibrate
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin.network import branch_arrays
from twindex.embedder.training.twin.saved import branch_of, load_twin, read_weights_file, refuse_other_templates
from twindex.errors import UsageError
from twindex.types import Float32, Int64

# The fastest precision that costs less than 0.1 points of accuracy; decision record 0010.
PRECISION: Literal["int8"] = "int8"
_AT_ONCE = 64
_COMPARED = 4  # faces on which a branch must agree with what a gallery computes


HeadPairs = Callable[[Embedder], PairDistances]


@dataclass(frozen=True)
class Measurement:
    """What a card is measured on.

    Attributes:
        faces: The photos.
        photos: Their numbers, (n,) int64; of people whom the branch has not learned from.
        head_pairs: Gives, for an embedder, distances of pairs to fit the head on; None takes the photos' own.
    """

    faces: TrainingFaces
    photos: Int64
    head_pairs: HeadPairs | None = None


def export_bundle(branch: keras.Model, run: TrainingRun, path: Path, head_pairs: HeadPairs | None = None) -> Card:
    """Write the bundle of a finished run.

    Args:
        branch: As trained.
        run: What it was trained by; names, terms and sizes go to the card.
        path: Folder to make; it must not exist.
        head_pairs: Gives, for an embedder, distances of pairs to fit the head on; None takes the subjects held out.

    Returns:
        The card as written.

    Raises:
        UsageError: `path` exists, or the branch has not learned enough to be calibrated.
        BundleError: A weight does not fit float16.
    """
    draft = run.recipe.draft_card()
    origin = {
        "backend": keras.backend.backend(),
        "initial_weights": run.weights_origin(),
        "begun_with": run.recipe.stages[run.first_stage].name,
    }
    measurement = Measurement(run.faces, run.split()[1], head_pairs)
    draft = replace(draft, training={**draft.training, **origin})
    return write_measured(path, branch_arrays(branch), draft, measurement, run.folder).card


@dataclass(frozen=True)
class TwinTexts:
    """What a card says of a twin that was trained elsewhere: its name, what it learned from, its terms of use."""

    name: str
    data: str = ""
    terms: str = ""


def export_twin(
    model: keras.Model | Path,
    path: Path,
    faces: Path,
    texts: TwinTexts,
    *,
    input_size: int | None = None,
    mirror: bool = True,
) -> Bundle:
    """Write the bundle of a twin that was trained with Keras.

    Args:
        model: The twin or its branch, loaded or as a `.keras` file; or a bundle's folder or weights file.
        path: Folder to make; it must not exist.
        faces: Folder of people whom the twin has not learned from; all of them are measured on.
        texts: For the card.
        input_size: Edge of the input, pixels, where the model is a weights file.
        mirror: Whether a template sums those of an image and its mirror image.

    Raises:
        UsageError: The model is not a twin, has not learned enough, its input size is missing, or `path` exists.
        BundleError: A value is out of range.
    """
    photos = TrainingFaces.scan(faces)
    arrays, shape = _arrays_and_shape(model, input_size, photos)
    draft = Card(
        name=texts.name,
        input_shape=shape,
        dim=arrays["projection/bias"].shape[0],
        mirror=mirror,
        alignment=ALIGNMENTS[0],
        head_weight=-1.0,
        head_bias=0.0,
        thresholds=(),
        verify_threshold=0.5,
        training={"data": texts.data or "not stated", "made_by": "bundle_from", "measured_on": len(photos.paths)},
        accuracy={},
        versions={},
        terms=texts.terms or "Terms of the training data apply.",
        weights_sha256="",
    )
    return write_measured(path, arrays, draft, Measurement(photos, np.arange(len(photos.paths))))


def _arrays_and_shape(
    model: keras.Model | Path, input_size: int | None, photos: TrainingFaces
) -> tuple[Mapping[str, Any], tuple[int, int, int]]:
    """A model's arrays and its input's shape; what a Keras model computes is compared with what its arrays do."""
    if isinstance(model, Path) and model.suffix != ".keras":
        if model.is_dir():
            bundle = load_bundle(model)
            arrays, size = bundle.arrays(), bundle.card.input_shape[0]
        elif input_size is None:
            raise UsageError(f"{model} does not say the size of its input: give input_size.")
        else:
            arrays, size = read_weights_file(model), input_size
        return arrays, (size, size, 3)
    branch = branch_of(load_twin(model) if isinstance(model, Path) else model)
    height, width, _ = shape = tuple(branch.input_shape[1:])
    if height != width or input_size not in (None, height):
        raise UsageError(f"A gallery's faces are square, and the twin's input is {width}x{height} pixels.")
    refuse_other_templates(branch, photos.clean(np.arange(min(_COMPARED, len(photos.paths))), height))
    return branch_arrays(branch), shape


def write_measured(
    path: Path, arrays: Mapping[str, Any], draft: Card, measurement: Measurement, work: Path | None = None
) -> Bundle:
    """Write a bundle whose head, thresholds and accuracy are measured.

    They are measured on what is shipped, the rounded weights in the compiled network, so a draft of the bundle is
    written first.

    Args:
        path: Folder to make; it must not exist.
        arrays: As `inception.array_shapes` names and shapes them.
        draft: The card but for what is measured here.
        measurement: On what.
        work: Folder for the draft; None takes the system's for temporary files.

    Raises:
        UsageError: `path` exists, or the branch has not learned enough to be calibrated.
        BundleError: A weight does not fit float16.
    """
    draft = replace(draft, precision=PRECISION, activation_ranges=_ranges(arrays, draft, measurement))
    with tempfile.TemporaryDirectory(prefix="draft-", dir=work) as folder:
        measured = _measure(write_bundle(Path(folder) / "bundle", arrays, draft), measurement)
    backend = keras.backend.backend()
    card = replace(
        draft,
        head_weight=measured.head.weight,
        head_bias=measured.head.bias,
        thresholds=measured.thresholds,
        verify_threshold=measured.verify_threshold,
        accuracy=dict(measured.accuracy),
        versions={name: version(name) for name in ("keras", "numpy", "openvino", backend)},
    )
    return write_bundle(path, arrays, card)


def _ranges(arrays: Mapping[str, Any], draft: Card, measurement: Measurement) -> tuple[float, ...]:
    """The activations' ranges, on photos spread over the subjects, in the weights' stored precision."""
    stored = {name: np.asarray(array).astype(np.float16) for name, array in arrays.items()}
    photos = measurement.photos
    some = photos[np.linspace(0, len(photos) - 1, min(FACES, len(photos)), dtype=np.int64)]
    return activation_ranges(stored, draft.input_shape, measurement.faces.clean(some, draft.input_shape[0]))


def _measure(bundle: Bundle, measurement: Measurement) -> Calibration:
    """Calibrate on the templates that the bundle gives of the photos."""
    embedder, faces = Embedder(bundle), measurement.faces
    photos = faces.labelled(measurement.photos)
    templates = _templates(embedder, faces, photos)
    head_pairs = measurement.head_pairs
    others = None if head_pairs is None else head_pairs(embedder)
    return calibrate(templates, faces.subjects[photos], others)


def _templates(embedder: Embedder, faces: TrainingFaces, photos: Int64) -> Float32:
    size = embedder.card.input_shape[0]
    pieces = np.split(photos, range(_AT_ONCE, len(photos), _AT_ONCE))
    return np.concatenate([embedder.embed_inputs(faces.clean(piece, size)) for piece in pieces])
