"""From a trained branch to a bundle: float16 weights, the head fitted on subjects not trained on, the card."""

from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from twindex.embedder import calibration
from twindex.embedder.bundle import write_bundle
from twindex.embedder.card import Card, DefaultThreshold
from twindex.embedder.network import branch_arrays
from twindex.embedder.training import Trained, TrainingRun
from twindex.scoring import Head

ALIGNMENT = "arcface-112"


def export_bundle(trained: Trained, run: TrainingRun, path: Path) -> Card:
    """Write the bundle of a finished run.

    Args:
        trained: The branch and its held-out distances.
        run: What it was trained by; names, terms and sizes go to the card.
        path: Folder to make; it must not exist.

    Returns:
        The card as written.
    """
    weight, bias = calibration.fit_head(trained.mated, trained.non_mated)
    head = Head(weight, bias)
    recipe = run.recipe
    thresholds = tuple(
        DefaultThreshold(size, float(head.probability(np.float64(distance))))
        for size, distance in calibration.thresholds_by_size(trained.non_mated)
    )
    verify = calibration.accept_distance(trained.non_mated, calibration.VERIFY_FMR)
    card = Card(
        name=recipe.name,
        input_shape=(recipe.input_size, recipe.input_size, 3),
        dim=recipe.dim,
        mirror=recipe.mirror,
        alignment=ALIGNMENT,
        head_weight=weight,
        head_bias=bias,
        thresholds=thresholds,
        verify_threshold=float(head.probability(np.float64(verify))),
        training={
            "data": recipe.data or "see the run's log",
            "recipe_sha256": recipe.digest,
            "stages": [stage.name for stage in recipe.stages],
            "steps": sum(stage.steps for stage in recipe.stages),
            "seed": recipe.seed,
            "backend": keras.backend.backend(),
        },
        accuracy={
            "held_out_pairs": calibration.balanced_accuracy(trained.mated, trained.non_mated),
            "held_out_mated": len(trained.mated),
            "held_out_non_mated": len(trained.non_mated),
            "fnmr_at_fmr_0.001": float(np.mean(trained.mated > verify)),
        },
        versions={name: version(name) for name in ("keras", "numpy", "openvino", keras.backend.backend())},
        terms=recipe.terms or "Terms of the training data apply.",
        weights_sha256="",
    )
    return write_bundle(path, branch_arrays(trained.branch), card).card
