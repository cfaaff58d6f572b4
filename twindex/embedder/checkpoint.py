"""Checkpoints of a training run: all variables of the learner and its optimizer, so that a killed run goes on.

One safetensors file: arrays `model/0000`, ... and `optimizer/0000`, ... in the order of Keras' variable lists, and
in its metadata the recipe's digest, the stage and the number of steps done in it. It is written beside the old one and
renamed over it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from twindex.errors import IntegrityError, UsageError


@dataclass(frozen=True)
class Progress:
    """How far a run is: stage number, steps done in that stage."""

    stage: int = 0
    step: int = 0


def save_checkpoint(path: Path, learner: keras.Model, progress: Progress, digest: str) -> None:
    """Write a checkpoint; a kill at any moment leaves the old one or the new one whole."""
    arrays = {name: np.asarray(keras.ops.convert_to_numpy(variable)) for name, variable in _variables(learner).items()}
    partial = path.with_suffix(".partial")
    state = {"digest": digest, "stage": str(progress.stage), "step": str(progress.step)}
    save_file(arrays, partial, metadata=state)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


def read_progress(path: Path, digest: str) -> Progress:
    """How far the checkpointed run is.

    Raises:
        UsageError: It belongs to another recipe.
        IntegrityError: The file is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            state = opened.metadata()
    except SafetensorError as error:
        raise IntegrityError(f"The checkpoint {path.name} is damaged ({error}); delete it to start again.") from error
    if state.get("digest") != digest:
        raise UsageError(f"The checkpoint {path.name} belongs to another recipe; choose another --run folder.")
    return Progress(int(state["stage"]), int(state["step"]))


def restore_checkpoint(path: Path, learner: keras.Model) -> None:
    """Set the variables of a learner, compiled and built for the checkpoint's stage."""
    with safe_open(path, framework="numpy") as opened:
        variables = _variables(learner)
        if set(opened.keys()) != set(variables):
            raise IntegrityError(f"The checkpoint {path.name} holds other variables than the network has.")
        for name, variable in variables.items():
            variable.assign(opened.get_tensor(name))


def _variables(learner: keras.Model) -> dict[str, Any]:
    model = {f"model/{number:04d}": variable for number, variable in enumerate(learner.variables)}
    optimizer = {f"optimizer/{number:04d}": variable for number, variable in enumerate(learner.optimizer.variables)}
    return {**model, **optimizer}
