"""Checkpoints of a training run: all variables of the learner and its optimizer, so that a killed run can resume.

A run's file (`run_file.py`) with arrays `model/0000`, ... and `optimizer/0000`, ... in the order of Keras' variable
lists, and in its metadata, besides the run's origin, the stage and the number of steps done in it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from twindex.embedder.training.run_file import Texts, read_arrays, read_metadata, write_run_file
from twindex.errors import IntegrityError, UsageError


@dataclass(frozen=True)
class Progress:
    """How far a run is: stage number, steps done in that stage."""

    stage: int = 0
    step: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of a run, there or yet to be written.

    Attributes:
        path: The file.
        origin: What the run works on; a checkpoint of another origin is refused.
    """

    path: Path
    origin: Texts

    def progress(self) -> Progress | None:
        """How far the checkpointed run is; None where there is no checkpoint yet.

        Raises:
            UsageError: It is of another origin.
            IntegrityError: The file is damaged.
        """
        if not self.path.is_file():
            return None
        state = read_metadata(self.path, self.origin)
        try:
            return Progress(int(state["stage"]), int(state["step"]))
        except (KeyError, ValueError) as error:
            raise IntegrityError(f"{self.path} does not say how far its run is; delete it to start again.") from error

    def save(self, learner: keras.Model, progress: Progress) -> None:
        """Write the learner's state over the last one.

        Raises:
            UsageError: The state has numbers that are not finite; the last checkpoint stays as it is.
        """
        named = _variables(learner)
        arrays = {name: np.asarray(keras.ops.convert_to_numpy(variable)) for name, variable in named.items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise UsageError(
                f"Training diverged by step {progress.step}: weights are not finite. The last good checkpoint is kept; "
                "lower the learning rate, in another --run folder."
            )
        state = {"stage": str(progress.stage), "step": str(progress.step)}
        write_run_file(self.path, arrays, {**self.origin, **state})

    def restore(self, learner: keras.Model) -> None:
        """Set the variables of a learner, compiled and built for the checkpoint's stage.

        Raises:
            IntegrityError: The file is damaged, or holds other variables than the learner has.
        """
        arrays, variables = read_arrays(self.path), _variables(learner)
        held = {name: array.shape for name, array in arrays.items()}
        if held != {name: tuple(variable.shape) for name, variable in variables.items()}:
            raise IntegrityError(f"{self.path} holds other variables than the network has; delete it to start again.")
        for name, variable in variables.items():
            variable.assign(arrays[name])


def _variables(learner: keras.Model) -> dict[str, Any]:
    model = {f"model/{number:04d}": variable for number, variable in enumerate(learner.variables)}
    optimizer = {f"optimizer/{number:04d}": variable for number, variable in enumerate(learner.optimizer.variables)}
    return {**model, **optimizer}
