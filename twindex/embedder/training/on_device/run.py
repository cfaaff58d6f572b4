"""Training a stage on an accelerator within a limit of seconds, with the best weights so far on disk."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from twindex.embedder.model.weights import encode_weights
from twindex.embedder.training.batches import chosen_photos
from twindex.embedder.training.data.teacher import SIZE
from twindex.embedder.training.on_device.onnx_graph import load_onnx
from twindex.embedder.training.on_device.step import (
    State,
    TeachOnDevice,
    assign_state,
    build_embedding,
    build_step,
    initial_state,
    load_teacher_on_device,
)
from twindex.embedder.training.on_device.variation import Draws, vary
from twindex.embedder.training.recipe.stage import Stage
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin.learner import Learner
from twindex.embedder.training.twin.network import branch_arrays, freeze
from twindex.errors import UsageError
from twindex.types import Int64, UInt8

REPORT_EVERY = 50
HELD_OUT_BATCH = 256
HELD_OUT_BATCHES = 4  # of each folder
BEST = "best.safetensors"


@dataclass(frozen=True)
class DeviceReport:
    """A line of the log.

    Attributes:
        step: Steps done.
        seconds: Since the beginning.
        loss: Mean since the last line.
        images_per_second: Since the last line.
        held_out: Mean of 1 - cosine to the teacher on clean photos of held-out people, by folder; empty on most lines.
    """

    step: int
    seconds: float
    loss: float
    images_per_second: float
    held_out: dict[str, float]


def train_on_device(
    run: TrainingRun,
    branch: keras.Model,
    head: keras.layers.Layer,
    faces: UInt8,
    *,
    seconds: float,
    checkpoint_seconds: float = 60.0,
    listener: Callable[[DeviceReport], None] = lambda _: None,
) -> Path:
    """Learn the first stage of a run from a teacher until its steps are done or the time is up.

    The learning rate follows the share that is used of the steps or of the time, whichever is larger, so that it has
    come down when training ends.

    Args:
        run: Photos, recipe, teacher, and the folder for log and weights.
        branch, head: To train; they hold the best weights afterwards.
        faces: (photos, edge, edge, 3) uint8, all of the run's photos.
        seconds: Limit, from this call on, compiling included.
        checkpoint_seconds: Time between measurements of the held-out loss; the best weights so far are written then.

    Returns:
        The file with the best weights, float16, as a bundle has them.

    Raises:
        UsageError: Keras does not run on JAX, the run has no teacher or another input size than it, or training
            diverged or the time was up before anything was kept.
    """
    if keras.backend.backend() != "jax":
        raise UsageError("Training on the device needs Keras on JAX: set KERAS_BACKEND=jax.")
    if run.teacher is None:
        raise UsageError("Training on the device needs a teacher: name an ONNX face model.")
    if branch.input_shape[1] != SIZE:
        raise UsageError(f"Training on the device needs the teacher's input size, {SIZE}; got {branch.input_shape[1]}.")
    begun, stage = time.monotonic(), run.recipe.stages[run.first_stage]
    pixels = run.recipe.teacher
    teach = load_teacher_on_device(load_onnx(run.teacher), np.array(pixels.mean), np.array(pixels.std))
    learner = _learner(branch, head, stage)
    on_device = jax.device_put(faces)
    measured = _Measured(run, learner, on_device, teach)
    step = build_step(learner, stage, on_device, teach if stage.distils else None)
    state, best, kept = initial_state(learner), math.inf, time.monotonic()
    key, draws = jax.random.key(run.recipe.seed), chosen_photos(run, run.first_stage)
    total, reported, since, done = jnp.zeros(()), 0, time.monotonic(), 0
    file = run.folder / BEST
    while done < stage.steps and (used := (time.monotonic() - begun) / seconds) < 1:
        chosen = draws(done)
        subjects = run.faces.subjects[chosen].astype(np.int32)
        rate = np.float32(learning_rate(stage, done, max(used, done / stage.steps)))
        state, loss = step(state, jax.random.fold_in(key, done), jnp.asarray(chosen), jnp.asarray(subjects), rate)
        total, done = total + loss, done + 1
        if done % REPORT_EVERY and done < stage.steps:
            continue
        mean = float(total) / (done - reported)
        if not math.isfinite(mean):
            break
        now, losses = time.monotonic(), {}
        images = (done - reported) * stage.batch_size / (now - since)
        if now - kept >= checkpoint_seconds or done == stage.steps or now - begun > seconds - checkpoint_seconds / 4:
            losses, kept = measured(state), now
            if (average := float(np.mean(list(losses.values())))) < best:
                best = average
                _keep(learner, state, file, run.recipe.dim)
        _report(run.folder, DeviceReport(done, now - begun, mean, images, losses), listener)
        total, reported, since = jnp.zeros(()), done, time.monotonic()
    if best == math.inf:
        raise UsageError("Nothing was kept: training diverged, or the time was up before the first measurement.")
    return file


def learning_rate(stage: Stage, step: int, used: float) -> float:
    """A stage's rate: a linear warm-up, then along a cosine with the share that is used of steps or time."""
    warm = min(1.0, (step + 1) / max(1, stage.warmup))
    low, high = stage.final_learning_rate, stage.learning_rate
    return warm * (low + (high - low) * (1 + math.cos(math.pi * min(1.0, used))) / 2)


def _learner(branch: keras.Model, head: keras.layers.Layer, stage: Stage) -> Learner:
    """A learner whose rate is set from outside; for the rest see `build_learner`."""
    freeze(branch, stage.frozen)
    learner = Learner(branch, head, stage)
    optimizer = keras.optimizers.AdamW(stage.learning_rate, weight_decay=stage.weight_decay)
    optimizer.exclude_from_weight_decay(var_list=head.trainable_variables, var_names=["beta", "bias"])
    learner.compile(optimizer=optimizer)
    learner.build((None, *branch.input_shape[1:]))
    optimizer.build(learner.trainable_variables)
    return learner


class _Measured:
    """The loss to watch: how far clean templates of held-out people are from the teacher's."""

    def __init__(self, run: TrainingRun, learner: Learner, faces: Any, teach: TeachOnDevice) -> None:
        self._embed = build_embedding(learner)
        size = learner.branch.input_shape[1]
        _, held_out = run.split()
        # Draws as an argument: the compiler would spend minutes on folding them as constants.
        clean, unvaried = jax.jit(lambda photos, draws: vary(faces[photos], size, draws)), _unvaried(HELD_OUT_BATCH)
        teaching = jax.jit(teach)
        self._batches: dict[str, list[tuple[Any, Any]]] = {}
        for folder in run.faces.folders:
            there = held_out[(held_out >= folder.photos.start) & (held_out < folder.photos.stop)]
            for photos in _whole_batches(there):
                pixels = clean(jnp.asarray(photos), unvaried)
                self._batches.setdefault(folder.name, []).append((pixels, teaching(pixels)))

    def __call__(self, state: State) -> dict[str, float]:
        return {
            name: float(
                np.mean([1 - (self._embed(state, pixels) * target).sum(-1).mean() for pixels, target in batches])
            )
            for name, batches in self._batches.items()
        }


def _whole_batches(photos: Int64) -> list[Int64]:
    """Some of the photos in batches of one size, for which one compiled function serves; few photos are repeated."""
    if not len(photos):
        return []
    spread = np.linspace(0, len(photos) - 1, HELD_OUT_BATCH * min(HELD_OUT_BATCHES, -(-len(photos) // HELD_OUT_BATCH)))
    return list(photos[spread.astype(np.int64)].reshape(-1, HELD_OUT_BATCH))


def _unvaried(count: int) -> Draws:
    no = jnp.zeros((count,), bool)
    return Draws(
        scale=jnp.ones((count,)),
        shift=jnp.zeros((count, 2)),
        light=jnp.ones((count, 2)),
        mirrored=no,
        grey=no,
        bends=jnp.zeros((count, 5, 5, 2)),
        covered=no,
        cover=jnp.zeros((count, 4)),
        colour=jnp.zeros((count, 3)),
    )


def _keep(learner: Learner, state: State, file: Path, dim: int) -> None:
    """Write the branch's weights over the last ones; a kill leaves the old file or the new one."""
    assign_state(learner, state)
    partial = file.with_suffix(".partial")
    partial.write_bytes(encode_weights(branch_arrays(learner.branch), dim))
    partial.replace(file)


def _report(folder: Path, report: DeviceReport, listener: Callable[[DeviceReport], None]) -> None:
    with (folder / "device.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(asdict(report)) + "\n")
    listener(report)
