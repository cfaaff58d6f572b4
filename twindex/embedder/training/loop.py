"""Train a twin by a recipe: stages of batches, with checkpoints that a killed run resumes from."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from twindex.embedder.inference.runtime import computes_in_bfloat16
from twindex.embedder.training.batches import Batch, training_batches
from twindex.embedder.training.checkpoint import Checkpoint, Progress
from twindex.embedder.training.data import sampling
from twindex.embedder.training.data.teacher import SIZE
from twindex.embedder.training.held_out import HeldOutLoss
from twindex.embedder.training.initial.weights import initialise_from_folded
from twindex.embedder.training.projection import project_onto_teacher
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.teacher_targets import run_teacher, teacher_targets
from twindex.embedder.training.twin.fused_norm import with_fused_norms
from twindex.embedder.training.twin.learner import Learner, build_learner
from twindex.embedder.training.twin.moving_statistics import settle
from twindex.embedder.training.twin.network import assign_arrays, branch_arrays, build_branch, build_head
from twindex.errors import UsageError
from twindex.running.stopping import uninterrupted
from twindex.types import Int64

CHECKPOINT_EVERY = 200
REPORT_EVERY = 20
_MEASURED_FACES = 128
# After so many steps, less than 1 % is left of the statistics that random weights begin with (0.99 ^ 500).
_SETTLED_BELOW = 500
_SETTLED_ON = 512  # photos
_SETTLED_BATCH = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """A line of progress.

    Attributes:
        stage, step, steps: The stage, its steps done and in all.
        loss: Mean since the last line.
        images_per_second: Rate since the last line.
        held_out: The loss on clean photos of people who are not learned from, by folder; empty on most lines.
    """

    stage: str
    step: int
    steps: int
    loss: float
    images_per_second: float
    held_out: dict[str, float] = field(default_factory=dict)


Listener = Callable[[StepReport], None]


def train(run: TrainingRun, listener: Listener) -> keras.Model:
    """Carry out a run, resuming its checkpoint if it has one.

    Args:
        run: What to work on.
        listener: Told every `REPORT_EVERY` steps and at a stage's end; what it is told is in the run's log too.

    Returns:
        The trained branch.

    Raises:
        UsageError: There are too few subjects, the recipe needs a teacher or an initial bundle and none is given, a
            file does not fit, the run's folder is of another run, or training diverges.
        IntegrityError: A file of the run is damaged.
    """
    learning, _ = run.split()
    if run.recipe.initial_share and run.initial_bundle() is None:
        raise UsageError("The recipe averages with the initial weights: name a bundle with --weights.")
    checkpoint = Checkpoint(run.folder / "checkpoint.safetensors", run.origin())
    resumed = checkpoint.progress()
    keras.utils.set_random_seed(run.recipe.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    _refuse_unfit(run, begun=resumed is not None)
    targets = teacher_targets(run)
    start = resumed or Progress(run.first_stage)
    size = run.recipe.input_size_of(start.stage)
    branch = _random_branch(run, size) if resumed else initial_branch(run, size, learning)
    head = build_head()
    head.build((None, 1))
    for number, stage in enumerate(run.recipe.stages[start.stage :], start.stage):
        branch = _resized(run, branch, run.recipe.input_size_of(number))
        learner = build_learner(branch, head, stage)
        if resumed and number == resumed.stage:
            checkpoint.restore(learner)
        begun = Progress(number, start.step if number == start.stage else 0)
        batches = training_batches(run, number, targets, begun.step)
        _run_stage(run, learner, batches, begun, checkpoint, listener)
    return _averaged(run, _settled(run, _resized(run, branch, run.recipe.input_size), learning))


def _refuse_unfit(run: TrainingRun, *, begun: bool) -> None:
    """Find before the first step what would otherwise end the run in a later one, or after the last."""
    stages = run.recipe.stages
    if unknown := set(run.recipe.folders) - {folder.name for folder in run.faces.folders}:
        raise UsageError(f"The recipe weighs the folder {sorted(unknown)[0]}, which is not among those given.")
    if run.teacher is not None and not any(stage.distils for stage in stages):
        raise UsageError("The --teacher would be ignored: no stage of the recipe has the distillation loss.")
    if any(stage.distils for stage in stages[run.first_stage :]):
        run_teacher(run)(run.faces.clean(np.zeros(1, np.int64), SIZE))
    if not begun:
        run.faces.refuse_unreadable()
        _warn_of_known_people(run)


def _warn_of_known_people(run: TrainingRun) -> None:
    """Tell where the initial model may have learned from people whom the run holds out, if its card says so."""
    bundle, recipe = run.initial_bundle(), run.recipe
    if bundle is None or "held_out_by" not in bundle.card.training:
        return
    by, share = bundle.card.training["held_out_by"], bundle.card.training.get("held_out")
    if by != recipe.held_out_by or not isinstance(share, float) or share < recipe.held_out:
        _log.warning(
            "%s held out other people (held_out = %s, by %s). If these photos were among its own, it knows people whom "
            "this run holds out, and will seem better than it is.",
            *(bundle.path, share, by),
        )


def _averaged(run: TrainingRun, branch: keras.Model) -> keras.Model:
    """The branch with the recipe's share of the initial weights in it."""
    share, initial = run.recipe.initial_share, run.initial_bundle()
    if share and initial is not None:
        before, trained = initial.arrays(), branch_arrays(branch)
        mean = {name: share * before[name].astype("float32") + (1 - share) * trained[name] for name in trained}
        assign_arrays(branch, mean)
    return branch


def fastest_precision() -> str:
    """The arithmetic that is fastest here: bfloat16 beside float32 weights needs a processor or a GPU that has it."""
    return "mixed_bfloat16" if _has_accelerator() or computes_in_bfloat16() else "float32"


def _has_accelerator() -> bool:
    if keras.backend.backend() == "torch":  # Keras lists no devices there
        import torch

        return bool(torch.cuda.is_available())
    # JAX raises an error when asked for a kind of device that it has none of.
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


class _StageProgress:
    """Counts a stage's steps, reports them, and keeps a checkpoint.

    Args:
        run: Its folder holds the log.
        learner: What learns.
        begun: The stage, and the step that it begins with.
        checkpoint: Where it is kept.
        listener: Told every `REPORT_EVERY` steps.
    """

    def __init__(
        self, run: TrainingRun, learner: Learner, begun: Progress, checkpoint: Checkpoint, listener: Listener
    ) -> None:
        self.stage = run.recipe.stages[begun.stage]
        self.done = self._kept = self._reported = begun.step
        self._number = begun.stage
        self._learner = learner
        self._checkpoint = checkpoint
        self._listener = listener
        self._log = run.folder / "log.jsonl"
        self._measure = HeldOutLoss(run, self.stage)
        self._total = 0.0
        self._since = time.monotonic()

    def count(self, loss: float) -> None:
        """Count a step; the caller lets no signal come between the step and this.

        Raises:
            UsageError: Training diverged.
        """
        if not math.isfinite(loss):
            self._kept = self.done  # its weights are spoilt: leave the last good checkpoint alone
            raise UsageError(
                f"Training diverged at step {self.done + 1} of {self.stage.name}: the loss is {loss}. The last good "
                "checkpoint is kept; lower the learning rate, in another --run folder."
            )
        self.done += 1
        self._total += loss

    def report(self) -> None:
        """Report and keep what is due after a step."""
        last, due = self.done == self.stage.steps, self.done % CHECKPOINT_EVERY == 0
        if last or self.done % REPORT_EVERY == 0:
            steps, seconds = self.done - self._reported, time.monotonic() - self._since
            rate = steps * self.stage.batch_size / seconds
            held_out = self._measure(self._learner) if last or due else {}
            self._write(StepReport(self.stage.name, self.done, self.stage.steps, self._total / steps, rate, held_out))
            self._reported, self._total, self._since = self.done, 0.0, time.monotonic()
        if due:
            self.keep()

    def keep(self) -> None:
        """Save the checkpoint, unless this step's is kept already."""
        if self.done > self._kept:
            self._checkpoint.save(self._learner, Progress(self._number, self.done))
            self._kept = self.done

    def _write(self, report: StepReport) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(report)) + "\n")
        self._listener(report)


def _run_stage(
    run: TrainingRun,
    learner: Learner,
    batches: Iterator[Batch],
    begun: Progress,
    checkpoint: Checkpoint,
    listener: Listener,
) -> None:
    """Learn from the batches; whatever ends the stage, its last step is kept, unless training diverged."""
    progress = _StageProgress(run, learner, begun, checkpoint, listener)
    try:
        for pixels, known in batches:
            # A signal between the step and its count would leave a checkpoint that is one step ahead of its number.
            with uninterrupted():
                learner.reset_metrics()  # some versions of Keras return the mean since this, others the step's loss
                progress.count(float(learner.train_on_batch(pixels, known, return_dict=True)["loss"]))
            progress.report()
    finally:
        progress.keep()


def _settled(run: TrainingRun, branch: keras.Model, learning: Int64) -> keras.Model:
    """The branch, whose moving statistics are measured again if it began with random weights and learned briefly."""
    steps = sum(stage.steps for stage in run.recipe.stages)
    if run.weights is None and steps < _SETTLED_BELOW:
        count = min(_SETTLED_ON, len(learning))
        photos = learning[sampling.shuffled_batch(len(learning), count, 0, run.recipe.seed)]
        pieces = np.array_split(photos, max(1, count // _SETTLED_BATCH))
        size = branch.input_shape[1]
        settle(branch, (run.faces.clean(piece, size).astype(np.float32) for piece in pieces))
    return branch


def _random_branch(run: TrainingRun, size: int, weights: str | None = None) -> keras.Model:
    """The branch in the recipe's precision, random but for Keras' own `weights`."""
    recipe, before = run.recipe, keras.config.dtype_policy()
    keras.config.set_dtype_policy(fastest_precision() if recipe.precision == "auto" else recipe.precision)
    try:
        return with_fused_norms(build_branch((size, size, 3), recipe.dim, weights))
    finally:
        keras.config.set_dtype_policy(before)


def _resized(run: TrainingRun, branch: keras.Model, size: int) -> keras.Model:
    """The branch with the same weights for another input size; itself where the size is the same."""
    if branch.input_shape[1] == size:
        return branch
    other = _random_branch(run, size)
    assign_arrays(other, branch_arrays(branch))
    return other


def initial_branch(run: TrainingRun, size: int, learning: Int64) -> keras.Model:
    """The branch with the run's initial weights; folded ones are measured on some of the photos, in float32."""
    bundle = run.initial_bundle()
    if bundle is not None:
        branch = _random_branch(run, size)
        if bundle.card.dim == run.recipe.dim:
            assign_arrays(branch, bundle.arrays())
            return branch
        projection = {name: array for name, array in branch_arrays(branch).items() if name.startswith("projection/")}
        assign_arrays(branch, {**bundle.arrays(), **projection})
        project_onto_teacher(branch, run, learning)
        return branch
    if run.weights is None or not run.weights.endswith(".npz"):
        try:
            return _random_branch(run, size, run.weights)
        except Exception as error:  # Keras raises no narrower one
            if not str(error).startswith("URL fetch failure"):
                raise
            raise UsageError(
                f"Keras' ImageNet weights cannot be downloaded: {error}. Name a file or a model with --weights."
            ) from error
    branch = _random_branch(run, size)
    chosen = learning[sampling.shuffled_batch(len(learning), _MEASURED_FACES, 0, run.recipe.seed)]
    measured = build_branch((size, size, 3), run.recipe.dim)
    if random := initialise_from_folded(measured, Path(run.weights), run.faces.clean(chosen, size)):
        _log.warning("%s lacks the kernels of %s, which start at random.", run.weights, ", ".join(random))
    assign_arrays(branch, branch_arrays(measured))
    return branch
