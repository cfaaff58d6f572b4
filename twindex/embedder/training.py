"""Train a twin by a recipe: stages of batches, with checkpoints that a killed run resumes from."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from twindex.embedder import calibration, sampling
from twindex.embedder.checkpoint import Progress, read_progress, restore_checkpoint, save_checkpoint
from twindex.embedder.initial_weights import initialise_from_folded
from twindex.embedder.learner import Learner, build_learner
from twindex.embedder.network import assign_arrays, branch_arrays, build_branch, build_head
from twindex.embedder.recipe import Recipe, Stage
from twindex.embedder.teacher import SIZE as TEACHER_SIZE
from twindex.embedder.teacher import teacher_embeddings
from twindex.embedder.training_faces import TrainingFaces
from twindex.errors import UsageError
from twindex.types import Float32, Int64

CHECKPOINT_EVERY = 200
REPORT_EVERY = 20
_READ_AHEAD = 6
_MEASURED_FACES = 128


@dataclass(frozen=True)
class TrainingRun:
    """What one `twindex train` works on.

    Attributes:
        faces: The photos.
        recipe: What to do with them.
        folder: Where checkpoint, teacher's embeddings and log are kept; an existing checkpoint is resumed.
        teacher: ONNX file to distil from, or None.
        weights: Initial weights: "imagenet", a folded `.npz`, Keras' `.weights.h5`, or None for random.
    """

    faces: TrainingFaces
    recipe: Recipe
    folder: Path
    teacher: Path | None = None
    weights: str | None = None


@dataclass(frozen=True)
class StepReport:
    """A line of progress: where, the mean loss and rate since the last line, and the figures of a validation."""

    stage: str
    step: int
    steps: int
    loss: float
    images_per_second: float


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained branch, with the distances of held-out pairs by which it is calibrated."""

    branch: keras.Model
    mated: Float32
    non_mated: Float32


Listener = Callable[[StepReport], None]


def train(run: TrainingRun, listener: Listener) -> Trained:
    """Carry out a run, resuming its checkpoint if it has one.

    Raises:
        UsageError: The recipe needs a teacher and none is given, or a file does not fit.
    """
    recipe, size = run.recipe, run.recipe.input_size
    keras.utils.set_random_seed(recipe.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    learning, held_out = sampling.split_subjects(run.faces.subjects, recipe.held_out, recipe.seed)
    targets = _targets(run) if recipe.needs_teacher else np.zeros((len(run.faces.paths), recipe.dim), np.float32)
    checkpoint = run.folder / "checkpoint.safetensors"
    resumed = checkpoint.is_file()
    start = read_progress(checkpoint, recipe.digest) if resumed else Progress()
    branch = _branch(run, learning, initialise=not resumed)
    head = build_head()
    head.build((None, 1))
    for number, stage in enumerate(recipe.stages[start.stage :], start.stage):
        learner = build_learner(branch, head, stage)
        first = start.step if number == start.stage else 0
        if resumed and number == start.stage:
            restore_checkpoint(checkpoint, learner)
        else:
            _refit_head(run, branch, head, held_out, stage)

        def keep(step: int, learner: Learner = learner, number: int = number) -> None:
            save_checkpoint(checkpoint, learner, Progress(number, step), recipe.digest)

        batches = _batches(run, stage, number, learning, targets, first)
        _run_stage(run, stage, learner, batches, first, keep, listener)
    mated, non_mated = _held_out_distances(run, branch, held_out, size)
    return Trained(branch, mated, non_mated)


def _run_stage(
    run: TrainingRun,
    stage: Stage,
    learner: Learner,
    batches: Iterator[tuple[Any, Any]],
    first: int,
    keep: Callable[[int], None],
    listener: Listener,
) -> None:
    done, since = first, time.monotonic()
    try:
        for pixels, known in batches:
            loss = learner.train_on_batch(pixels, known, return_dict=True)["loss"]
            done += 1
            if done % REPORT_EVERY == 0 or done == stage.steps:
                rate = ((done - 1) % REPORT_EVERY + 1) * stage.batch_size / (time.monotonic() - since)
                _report(run, StepReport(stage.name, done, stage.steps, float(loss), rate), listener)
                learner.reset_metrics()
                since = time.monotonic()
            if done % CHECKPOINT_EVERY == 0:
                keep(done)
    finally:
        if done > first:
            keep(done)


def _report(run: TrainingRun, report: StepReport, listener: Listener) -> None:
    if not np.isfinite(report.loss):
        raise UsageError(f"Training diverged at step {report.step} of {report.stage}; lower its learning_rate.")
    with (run.folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(report.__dict__) + "\n")
    listener(report)


def _batches(
    run: TrainingRun, stage: Stage, number: int, learning: Int64, targets: Float32, first: int
) -> Iterator[tuple[Any, Any]]:
    """Batches from step `first` on, decoded ahead by two threads; each depends on seed, stage and step only."""
    seed, subjects = run.recipe.seed * 1_000 + number, run.faces.subjects[learning]

    def batch(step: int) -> tuple[Any, Any]:
        if stage.people:
            chosen = learning[sampling.balanced_batch(subjects, stage.people, stage.photos, step, seed)]
        else:
            chosen = learning[sampling.shuffled_batch(len(learning), stage.photos, step, seed)]
        pixels = run.faces.varied(chosen, run.recipe.input_size, stage.augmentation, (seed, step))
        known = {"subject": run.faces.subjects[chosen].astype(np.int32), "target": targets[chosen]}
        return pixels.astype(np.float32), known

    with ThreadPoolExecutor(2) as readers:
        ahead: deque[Future[tuple[Any, Any]]] = deque()
        for step in range(first, stage.steps):
            while len(ahead) < min(_READ_AHEAD, stage.steps - step):
                ahead.append(readers.submit(batch, step + len(ahead)))
            yield ahead.popleft().result()


def _branch(run: TrainingRun, learning: Int64, *, initialise: bool) -> keras.Model:
    recipe, weights = run.recipe, run.weights if initialise else None
    folded = weights is not None and weights.endswith(".npz")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision)
    try:
        shape = (recipe.input_size, recipe.input_size, 3)
        branch = build_branch(shape, recipe.dim, None if folded else weights)
    finally:
        keras.config.set_dtype_policy(before)
    if weights is not None and folded:
        chosen = learning[sampling.shuffled_batch(len(learning), _MEASURED_FACES, 0, recipe.seed)]
        reference = build_branch(shape, recipe.dim)
        initialise_from_folded(reference, Path(weights), run.faces.clean(chosen, recipe.input_size))
        assign_arrays(branch, branch_arrays(reference))
    return branch


def _targets(run: TrainingRun) -> Float32:
    """The teacher's embeddings of all photos, kept in the run's folder."""
    kept = run.folder / "targets.npy"
    photos = len(run.faces.paths)
    if kept.is_file():
        targets: Float32 = np.load(kept, allow_pickle=False)
        if targets.shape == (photos, run.recipe.dim):
            return targets
        raise UsageError(f"{kept} belongs to other photos; choose another --run folder.")
    if run.teacher is None:
        raise UsageError("The recipe distils from a teacher: name an ONNX face model with --teacher.")
    pieces = [np.arange(photos)[start : start + 64] for start in range(0, photos, 64)]
    crops = (run.faces.clean(piece, TEACHER_SIZE) for piece in pieces)
    targets = np.concatenate(list(teacher_embeddings(run.teacher, crops, run.recipe.teacher, run.recipe.dim)))
    partial = kept.with_suffix(".partial.npy")
    np.save(partial, targets)
    partial.replace(kept)
    return targets


def _held_out_distances(run: TrainingRun, branch: keras.Model, photos: Int64, size: int) -> tuple[Float32, Float32]:
    embedded = []
    for start in range(0, len(photos), 64):
        crops = run.faces.clean(photos[start : start + 64], size).astype(np.float32)
        templates = branch.predict_on_batch(crops)
        if run.recipe.mirror:
            templates = templates + branch.predict_on_batch(np.ascontiguousarray(crops[:, :, ::-1]))
        embedded.append(templates / np.linalg.norm(templates, axis=1, keepdims=True))
    return calibration.pair_distances(np.concatenate(embedded), run.faces.subjects[photos])


def _refit_head(run: TrainingRun, branch: keras.Model, head: Any, held_out: Int64, stage: Stage) -> None:
    """Start a stage that learns the head from where the held-out pairs are."""
    if "binary_crossentropy" not in stage.losses or run.recipe.stages[0] is stage:
        return
    weight, bias = calibration.fit_head(*_held_out_distances(run, branch, held_out, run.recipe.input_size))
    head.kernel.assign([[weight]])
    head.bias.assign([bias])
