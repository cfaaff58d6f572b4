"""From a trained branch to a bundle: float16 weights, and a card measured on subjects not trained on."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from twindex.embedder.embedder import Embedder
from twindex.embedder.inference.quantisation import FACES, activation_ranges
from twindex.embedder.model.bundle import Bundle, write_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.training.head import Calibration, PairDistances, calibrate
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin.network import branch_arrays

PRECISION: Final = "int8"  # the fastest whose loss of accuracy is within 0.1 points; decision record 0010
_AT_ONCE = 64


HeadPairs = Callable[[Embedder], PairDistances]


def export_bundle(branch: keras.Model, run: TrainingRun, path: Path, head_pairs: HeadPairs | None = None) -> Card:
    """Write the bundle of a finished run.

    The card is measured on what is shipped, the rounded weights in the compiled network, so a draft of the bundle is
    written to the run's folder first.

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
    arrays, backend = branch_arrays(branch), keras.backend.backend()
    draft = replace(run.recipe.draft_card(), precision=PRECISION, activation_ranges=_ranges(arrays, run))
    with tempfile.TemporaryDirectory(prefix="draft-", dir=run.folder) as folder:
        measured = _measure(write_bundle(Path(folder) / "bundle", arrays, draft), run, head_pairs)
    card = replace(
        draft,
        head_weight=measured.head.weight,
        head_bias=measured.head.bias,
        thresholds=measured.thresholds,
        verify_threshold=measured.verify_threshold,
        training={
            **draft.training,
            "backend": backend,
            "initial_weights": run.weights_origin(),
            "begun_with": run.recipe.stages[run.first_stage].name,
        },
        accuracy=dict(measured.accuracy),
        versions={name: version(name) for name in ("keras", "numpy", "openvino", backend)},
    )
    return write_bundle(path, arrays, card).card


def _ranges(arrays: dict[str, Any], run: TrainingRun) -> tuple[float, ...]:
    """The activations' ranges, on held-out photos spread over the subjects, in the weights' stored precision."""
    stored = {name: array.astype(np.float16) for name, array in arrays.items()}
    _, held_out = run.split()
    some = held_out[np.linspace(0, len(held_out) - 1, min(FACES, len(held_out)), dtype=np.int64)]
    size = run.recipe.input_size
    return activation_ranges(stored, (size, size, 3), run.faces.clean(some, size))


def _measure(bundle: Bundle, run: TrainingRun, head_pairs: HeadPairs | None) -> Calibration:
    """Calibrate on the templates that the bundle gives of the held-out photos."""
    embedder, size = Embedder(bundle), bundle.card.input_shape[0]
    held_out = run.faces.labelled(run.split()[1])
    pieces = np.split(held_out, range(_AT_ONCE, len(held_out), _AT_ONCE))
    templates = [embedder.embed_inputs(run.faces.clean(piece, size)) for piece in pieces]
    others = None if head_pairs is None else head_pairs(embedder)
    return calibrate(np.concatenate(templates), run.faces.subjects[held_out], others)
