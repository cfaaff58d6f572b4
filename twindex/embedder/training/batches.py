"""The batches of a stage, decoded ahead of the step that learns from them. No Keras."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from twindex.embedder.training.data import sampling
from twindex.embedder.training.data.variation import composed, mixed
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.teacher_targets import run_teacher
from twindex.running.pipeline import READERS, in_order
from twindex.types import Float32, Int64, UInt8

Batch = tuple[Float32, dict[str, Any]]
_MORE_AHEAD = 4  # batches waiting, in bytes, beside those that are being read


def training_batches(run: TrainingRun, number: int, targets: Float32, first: int) -> Iterator[Batch]:
    """Batches of one stage, decoded ahead by a thread a core; each depends on the run, the stage and the step only.

    Args:
        run: Photos and recipe.
        number: Of the stage.
        targets: (photos, dim) float32, a teacher's embedding of every clean photo; a stage of varied ones reads none.
        first: Step to begin with.

    Yields:
        Pixels (n, size, size, 3) float32 from 0 to 255, and what is known of them: "subject" (n,) int32 and "target"
        (n, dim) float32.

    Raises:
        UsageError: The stage asks a teacher and the run has none.
    """
    stage, seed = run.recipe.stages[number], _seed(run, number)
    draws, size = chosen_photos(run, number), run.recipe.input_size_of(number)
    teach = run_teacher(run) if stage.distils and stage.varied_targets else None

    def batch(step: int) -> tuple[UInt8, dict[str, Any]]:
        chosen = draws(step)
        pixels = run.faces.varied(chosen, size, stage.augmentation, (seed, step))
        if stage.composed:
            pixels = composed(pixels, stage.composed, np.random.default_rng((seed, step, 2)))
        if stage.mixed:
            pixels = mixed(pixels, stage.mixed, np.random.default_rng((seed, step, 1)))
        known = {
            "subject": run.faces.subjects[chosen].astype(np.int32),
            "target": teach(pixels) if teach else targets[chosen],
        }
        return pixels, known

    with ThreadPoolExecutor(READERS) as readers:
        for pixels, known in in_order(range(first, stage.steps), batch, readers, ahead=READERS + _MORE_AHEAD):
            yield pixels.astype(np.float32), known


def chosen_photos(run: TrainingRun, number: int) -> Callable[[int], Int64]:
    """Which photos a stage's batches show: a function of the step, which depends on the run and the stage only."""
    stage, (learning, _) = run.recipe.stages[number], run.split()
    seed, mates = _seed(run, number), run.faces.labelled(learning)
    subjects, pools, weights = run.faces.subjects[mates], *_pools(run, learning)

    def chosen(step: int) -> Int64:
        if stage.people:
            return mates[sampling.balanced_batch(subjects, stage.people, stage.photos, step, seed)]
        if len(pools) > 1:
            return sampling.weighted_batch(pools, weights, stage.photos, step, seed)
        return learning[sampling.shuffled_batch(len(learning), stage.photos, step, seed)]

    return chosen


def _seed(run: TrainingRun, number: int) -> int:
    return run.recipe.seed * 1_000 + number


def _pools(run: TrainingRun, learning: Int64) -> tuple[list[Int64], list[float]]:
    """The photos to learn from by folder, and how often each comes in a pass."""
    folders = run.faces.folders
    pools = [learning[(learning >= folder.photos.start) & (learning < folder.photos.stop)] for folder in folders]
    return pools, [run.recipe.folders.get(folder.name, 1.0) for folder in folders]
