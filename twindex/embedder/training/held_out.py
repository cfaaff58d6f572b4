"""The loss to watch while training: a stage's own, on people who are not learned from."""

from typing import Any

import keras
import numpy as np

from twindex.embedder.training.data.teacher import SIZE
from twindex.embedder.training.recipe.stage import Stage
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.teacher_targets import run_teacher
from twindex.embedder.training.twin.learner import Learner
from twindex.types import Float32, Int64

BATCH = 128
BATCHES = 3  # of each folder


class HeldOutLoss:
    """Measures a stage's loss on clean photos of held-out people, folder by folder.

    Args:
        run: Photos and teacher.
        stage: Whose losses are measured.
    """

    def __init__(self, run: TrainingRun, stage: Stage) -> None:
        self._run = run
        _, held_out = run.split()
        pairs = set(stage.losses) != {"distillation"}
        self._photos = {
            folder.name: chosen
            for folder in run.faces.folders
            if (folder.labelled or not pairs) and len(chosen := _chosen(held_out, folder.photos))
        }
        self._targets = self._teacher_targets() if stage.distils else None

    def __call__(self, learner: Learner) -> dict[str, float]:
        """The mean loss by the folder's name."""
        size = learner.branch.input_shape[1]
        losses = {}
        for name, photos in self._photos.items():
            of_batches = []
            for piece in range(0, len(photos), BATCH):
                chosen = photos[piece : piece + BATCH]
                known: dict[str, Any] = {"subject": self._run.faces.subjects[chosen].astype(np.int32)}
                if self._targets is not None:
                    known["target"] = self._targets[name][piece : piece + BATCH]
                pixels = self._run.faces.clean(chosen, size).astype(np.float32)
                templates = learner(pixels, training=False)
                of_batches.append(float(keras.ops.convert_to_numpy(learner.compute_loss(y=known, y_pred=templates))))
            losses[name] = float(np.mean(of_batches))
        return losses

    def _teacher_targets(self) -> dict[str, Float32]:
        teach = run_teacher(self._run)
        return {
            name: np.concatenate(
                [teach(self._run.faces.clean(photos[at : at + BATCH], SIZE)) for at in range(0, len(photos), BATCH)]
            )
            for name, photos in self._photos.items()
        }


def _chosen(held_out: Int64, folder: range) -> Int64:
    """Some of a folder's held-out photos: runs of neighbours, so that subjects with several photos stay together."""
    there = held_out[(held_out >= folder.start) & (held_out < folder.stop)]
    starts = np.linspace(0, max(0, len(there) - BATCH), BATCHES).astype(np.int64)
    return np.unique(np.concatenate([there[start : start + BATCH] for start in starts]))
