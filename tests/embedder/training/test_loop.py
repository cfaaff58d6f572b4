"""Training on a few synthetic faces: it learns, survives a kill, and ends in a bundle.

Compiling InceptionV3 takes long, so the loop is tested on a small branch, and the whole way once on the real one: these
tests are marked slow.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.embedder.coloured_faces import coloured_faces
from twindex.embedder.embedder import Embedder
from twindex.embedder.model.bundle import Bundle, load_bundle, write_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.training import export, projection, teacher_targets
from twindex.embedder.training import loop as training
from twindex.embedder.training.batches import training_batches
from twindex.embedder.training.checkpoint import Checkpoint, Progress
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.export import export_bundle
from twindex.embedder.training.head import calibrate
from twindex.embedder.training.loop import StepReport, train
from twindex.embedder.training.recipe.recipe import HeldOutBy, Recipe, recipe_from
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin import learner
from twindex.embedder.training.twin.network import branch_arrays
from twindex.errors import TwindexError, UsageError
from twindex.running import stopping

REPOSITORY = Path(__file__).parents[3]
STAGE = {"losses": {"binary_crossentropy": 1.0}, "people": 4, "photos": 2, "learning_rate": 1e-3, "warmup": 1}
STEPS = 6
KILL_AT = 3
LEARN_AND_DIE = """
import sys
from pathlib import Path
from tests.embedder.training.test_loop import learn_and_die
learn_and_die(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def recipe(steps: int = 4, **changed: Any) -> Recipe:
    stages = [{"name": "first", "steps": steps, **STAGE}]
    values = {"name": "tiny", "input_size": 75, "dim": 16, "held_out": 0.4, "precision": "float32", "stages": stages}
    return recipe_from({**values, **changed})


def small_branch(shape: tuple[int, int, int], dim: int, weights: str | None = None) -> keras.Model:
    """Stands for InceptionV3, normalisation's moving averages included."""
    layers = keras.layers
    pixels = keras.Input(shape)
    pooled = layers.AveragePooling2D(15)(layers.Rescaling(1 / 127.5, offset=-1.0)(pixels))
    features = layers.Flatten(name="features")(layers.BatchNormalization(name="norm")(pooled))
    template = layers.UnitNormalization()(layers.Dense(dim, name="projection")(features))
    return keras.Model(pixels, template)


def small_arrays(branch: keras.Model) -> dict[str, np.ndarray]:
    """What `branch_arrays` is for the real branch."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in _small_variables(branch).items()}


def assign_small(branch: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """What `assign_arrays` is for the real branch."""
    for name, variable in _small_variables(branch).items():
        variable.assign(arrays[name].astype(np.float32))


def _small_variables(branch: keras.Model) -> dict[str, Any]:
    named = [branch.get_layer(name) for name in ("norm", "projection")]
    return {f"{layer.name}/{variable.name}": variable for layer in named for variable in layer.variables}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Small branches in place of real ones; the arrays that bundles seem to hold."""
    keras.utils.set_random_seed(7)
    stored = {name: array.astype(np.float16) for name, array in small_arrays(small_branch((75, 75, 3), 16)).items()}
    monkeypatch.setattr(training, "build_branch", small_branch)
    for module in (training, projection):
        monkeypatch.setattr(module, "branch_arrays", small_arrays)
        monkeypatch.setattr(module, "assign_arrays", assign_small)
    monkeypatch.setattr(Bundle, "arrays", lambda _: stored)
    return stored


def learn_small(run: TrainingRun, patch: pytest.MonkeyPatch, die_at: int | None = None) -> dict[int, float]:
    """Train the small branch, checkpointing every other step; the loss of each step that was learned."""
    patch.setattr(training, "build_branch", small_branch)
    patch.setattr(training, "REPORT_EVERY", 1)
    patch.setattr(training, "CHECKPOINT_EVERY", 2)
    losses = {}

    def listen(report: StepReport) -> None:
        losses[report.step] = report.loss
        if report.step == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    train(run, listen)
    return losses


def learn_and_die(root: Path, folder: Path) -> None:
    """What the child process does."""
    with pytest.MonkeyPatch.context() as patch:
        learn_small(TrainingRun(TrainingFaces.scan(root), recipe(STEPS), folder), patch, die_at=KILL_AT)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coloured_faces(tmp_path_factory.mktemp("faces"), seed=1)


@pytest.fixture(scope="module")
def faces(root: Path) -> TrainingFaces:
    return TrainingFaces.scan(root)


@pytest.fixture(scope="module")
def trained(faces: TrainingFaces, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingRun, keras.Model]:
    """By the real branch."""
    run = TrainingRun(faces, recipe(), tmp_path_factory.mktemp("straight"))
    return run, train(run, lambda _: None)


@pytest.fixture(scope="module")
def learned(faces: TrainingFaces, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A run that the small branch has finished."""
    run = TrainingRun(faces, recipe(), tmp_path_factory.mktemp("small"))
    with pytest.MonkeyPatch.context() as patch:
        learn_small(run, patch)
    return run


@pytest.mark.slow
def test_training_changes_the_branch_and_logs_its_loss(trained: tuple[TrainingRun, keras.Model]) -> None:
    run, branch = trained
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"], line["steps"]) for line in lines] == [("first", 4, 4)]
    assert np.isfinite(lines[0]["loss"])
    keras.utils.set_random_seed(run.recipe.seed)
    fresh = branch_arrays(training.build_branch((75, 75, 3), 16))
    assert np.abs(branch_arrays(branch)["projection/kernel"] - fresh["projection/kernel"]).max() > 1e-4


@pytest.mark.slow
def test_the_card_is_measured_on_the_bundle_that_holds_what_was_trained(
    trained: tuple[TrainingRun, keras.Model], tmp_path: Path
) -> None:
    run, branch = trained
    card = export_bundle(branch, run, tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.card == card
    arrays = loaded.arrays()
    for name, array in branch_arrays(branch).items():
        np.testing.assert_array_equal(arrays[name], array.astype(np.float16), err_msg=name)
    _, held_out = run.split()
    measured = calibrate(Embedder(loaded).embed_inputs(run.faces.clean(held_out, 75)), run.faces.subjects[held_out])
    assert card.head_weight == pytest.approx(measured.head.weight, rel=1e-6)
    assert card.verify_threshold == pytest.approx(measured.verify_threshold, rel=1e-6)
    assert card.accuracy == pytest.approx(measured.accuracy)
    # Five subjects with three photos each.
    assert (card.accuracy["held_out_mated"], card.accuracy["held_out_non_mated"]) == (15, 90)
    assert (card.training["held_out"], card.training["held_out_by"]) == (0.4, "name")
    assert not list(run.folder.glob("draft-*"))


def test_a_run_of_another_seed_holds_the_same_people_out(faces: TrainingFaces, tmp_path: Path) -> None:
    splits = [TrainingRun(faces, recipe(seed=seed), tmp_path).split() for seed in (1, 2, 11)]
    for learning, held_out in splits[1:]:
        np.testing.assert_array_equal(learning, splits[0][0])
        np.testing.assert_array_equal(held_out, splits[0][1])


def test_a_run_begins_with_a_bundle_at_a_later_stage(
    learned: TrainingRun,
    small: dict[str, np.ndarray],
    random_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = {**STAGE, "name": "later", "steps": 1, "input_size": 80}
    stages = [{**later, "name": "before"}, later]
    begun = []
    monkeypatch.setattr(training, "_run_stage", lambda *given: begun.append(given))
    began = replace(learned, folder=tmp_path / "run", weights=str(random_bundle.path), start_at="later")
    began = replace(began, recipe=recipe(stages=stages))
    result = train(began, lambda _: None)
    ((_, learner, _, progress, _, _),) = begun
    assert progress == Progress(1, 0)
    # The stage has its own input size, the result has the recipe's; the weights are the bundle's in both.
    assert learner.branch.input_shape == (None, 80, 80, 3)
    assert result.input_shape == (None, 75, 75, 3)
    for given in (small_arrays(learner.branch), small_arrays(result)):
        for name, array in small.items():
            np.testing.assert_array_equal(given[name], array.astype(np.float32), err_msg=name)
    drafts: list[Card] = []
    monkeypatch.setattr(export, "branch_arrays", small_arrays)
    monkeypatch.setattr(
        export, "write_measured", lambda _path, _arrays, draft, *_: drafts.append(draft) or random_bundle
    )
    export_bundle(result, began, tmp_path / "second")
    assert drafts[0].training["initial_weights"] == random_bundle.card.fingerprint
    assert drafts[0].training["begun_with"] == "later"


def test_a_bundle_of_another_length_gets_a_projection_that_follows_the_teacher(
    learned: TrainingRun,
    small: dict[str, np.ndarray],
    random_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teach = first_pixels(8, [])
    monkeypatch.setattr(teacher_targets, "load_teacher", lambda *_: teach)
    monkeypatch.setattr(training, "_run_stage", lambda *_: None)
    stages = [{"name": "first", "steps": 1, "losses": {"distillation": 1.0}, "photos": 4}]
    run = replace(
        learned, folder=tmp_path / "run", recipe=recipe(stages=stages, dim=8), teacher=tmp_path / "teacher.onnx"
    )
    run.teacher.write_bytes(b"any")
    result = train(replace(run, weights=str(random_bundle.path)), lambda _: None)
    arrays, (learning, _) = small_arrays(result), run.split()
    for name in ("norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"):
        np.testing.assert_array_equal(arrays[name], small[name].astype(np.float32), err_msg=name)
    inner = keras.Model(result.input, result.get_layer("features").output)
    pixels = run.faces.clean(learning, 75).astype(np.float32)
    features = keras.ops.convert_to_numpy(inner(pixels, training=False))
    kernel, bias = projection.fit_projection(features, teach(run.faces.clean(learning, 112)))
    np.testing.assert_allclose(arrays["projection/kernel"], kernel, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(arrays["projection/bias"], bias, rtol=1e-3, atol=1e-2)


def test_the_initial_weights_may_have_a_share_in_the_model(
    learned: TrainingRun,
    small: dict[str, np.ndarray],
    random_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_more(_: object, learner: keras.Model, *rest: object) -> None:
        for variable in learner.branch.variables:
            variable.assign_add(keras.ops.ones_like(variable))

    monkeypatch.setattr(training, "_run_stage", one_more)
    shared = replace(learned, folder=tmp_path / "run", recipe=recipe(initial_share=0.25))
    result = small_arrays(train(replace(shared, weights=str(random_bundle.path)), lambda _: None))
    for name, array in small.items():
        np.testing.assert_allclose(result[name], array.astype(np.float32) + 0.75, rtol=1e-6, atol=1e-6, err_msg=name)
    with pytest.raises(UsageError, match="averages with the initial weights: name a bundle"):
        train(shared, lambda _: None)


@pytest.mark.usefixtures("small")
def test_people_whom_the_initial_model_may_know_are_reported(
    learned: TrainingRun,
    random_arrays: Mapping[str, np.ndarray],
    make_card: Callable[..., Card],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    card = make_card(training={"held_out": 0.4, "held_out_by": "name"})
    begun = replace(learned, weights=str(write_bundle(tmp_path / "bundle", random_arrays, card).path))
    for held_out, by, reported in ((0.4, "name", 0), (0.3, "name", 0), (0.5, "name", 1), (0.4, "position", 1)):
        caplog.clear()
        changed = recipe(2, held_out=held_out, held_out_by=by)
        learn_small(replace(begun, recipe=changed, folder=tmp_path / f"{held_out} {by}"), monkeypatch)
        assert sum("held out other people" in record.message for record in caplog.records) == reported


@pytest.mark.parametrize(("steps", "weights", "fresh"), [(4, None, True), (500, None, False), (4, "imagenet", False)])
def test_a_short_run_from_random_weights_measures_its_statistics_again(
    faces: TrainingFaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    weights: str | None,
    fresh: bool,
) -> None:
    monkeypatch.setattr(training, "build_branch", small_branch)
    monkeypatch.setattr(training, "_run_stage", lambda *_: None)
    run = TrainingRun(faces, recipe(steps), tmp_path, weights=weights)
    mean = small_arrays(train(run, lambda _: None))["norm/moving_mean"]
    pixels = faces.clean(run.split()[0], 75) / 127.5 - 1
    expected = pixels.mean(axis=(0, 1, 2)) if fresh else np.zeros(3)
    np.testing.assert_allclose(mean, expected, atol=2e-3)


def test_weights_that_cannot_be_downloaded_are_told(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any) -> keras.Model:
        raise Exception("URL fetch failure on https://example.org/weights.h5: None -- no route")

    monkeypatch.setattr(training, "build_branch", offline)
    with pytest.raises(UsageError, match=r"cannot be downloaded: .* no route\. Name a file"):
        train(TrainingRun(faces, recipe(), tmp_path, weights="imagenet"), lambda _: None)


def test_a_start_that_cannot_be_is_refused(learned: TrainingRun, random_bundle: Bundle, tmp_path: Path) -> None:
    run = learned
    with pytest.raises(UsageError, match="no stage 'third'; its stages are first"):
        train(replace(run, folder=tmp_path / "run", start_at="third"), lambda _: None)
    later = recipe(stages=[{**STAGE, "name": name, "steps": 1} for name in ("before", "later")])
    with pytest.raises(UsageError, match="'later' needs --weights"):
        train(replace(run, folder=tmp_path / "run", recipe=later, start_at="later"), lambda _: None)
    longer = replace(run, folder=tmp_path / "run", weights=str(random_bundle.path), recipe=recipe(dim=32))
    with pytest.raises(UsageError, match="have 16 values, the recipe's 32"):
        train(longer, lambda _: None)


def test_a_branch_that_has_not_learned_makes_no_bundle(
    learned: TrainingRun, random_arrays: Mapping[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "branch_arrays", lambda _: random_arrays)
    near, far = np.linspace(0.2, 0.6, 9, dtype=np.float32), np.linspace(0.8, 1.2, 9, dtype=np.float32)
    with pytest.raises(UsageError, match=r"not learned enough.*more --steps"):
        export_bundle(None, learned, tmp_path / "bundle", lambda _: (far, near))  # mated pairs are the farther ones
    assert not (tmp_path / "bundle").exists()
    assert (learned.folder / "checkpoint.safetensors").is_file()


@pytest.mark.slow
def test_a_run_killed_after_a_checkpoint_resumes_to_the_same_losses(
    root: Path, faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(faces, recipe(STEPS), tmp_path / "killed")
    child = [sys.executable, "-c", LEARN_AND_DIE, str(root), str(run.folder)]
    assert subprocess.run(child, cwd=REPOSITORY, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert Checkpoint(run.folder / "checkpoint.safetensors", run.origin()).progress() == Progress(0, 2)
    straight = learn_small(replace(run, folder=tmp_path / "straight"), monkeypatch)
    resumed = learn_small(run, monkeypatch)
    assert list(resumed) == [3, 4, 5, 6]
    assert list(resumed.values()) == pytest.approx([straight[step] for step in resumed], rel=1e-3)


def test_the_rate_is_that_of_the_steps_since_the_last_report(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "build_branch", small_branch)
    monkeypatch.setattr(training, "REPORT_EVERY", 4)
    reports: list[StepReport] = []

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    run = TrainingRun(faces, recipe(STEPS), tmp_path)
    with monkeypatch.context() as stopping:
        stopping.setattr(training, "REPORT_EVERY", 3)
        with pytest.raises(KeyboardInterrupt):
            train(run, stopped)
    # Every look at the clock is a second after the one before.
    ticks = itertools.count()
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))
    train(run, reports.append)
    batch = STAGE["people"] * STAGE["photos"]
    assert [(one.step, one.images_per_second) for one in reports] == [(4, 1 * batch), (6, 2 * batch)]


def test_the_loss_is_the_mean_since_the_last_report(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(faces, recipe(STEPS), tmp_path / "each")
    each = learn_small(run, monkeypatch)
    monkeypatch.setattr(training, "REPORT_EVERY", 4)
    reports: list[StepReport] = []
    train(replace(run, folder=tmp_path / "four"), reports.append)
    means = [np.mean([each[step] for step in steps]) for steps in ((1, 2, 3, 4), (5, 6))]
    assert [one.loss for one in reports] == pytest.approx(means, rel=1e-3)


def test_a_signal_during_a_step_waits_until_the_step_is_counted(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(faces, recipe(STEPS), tmp_path / "stopped")
    straight = learn_small(replace(run, folder=tmp_path / "straight"), monkeypatch)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    class Signalled(training.Learner):
        def train_on_batch(self, *batch: Any, **options: Any) -> Any:
            done = super().train_on_batch(*batch, **options)
            if int(self.optimizer.iterations) == KILL_AT:
                signal.raise_signal(signal.SIGINT)
            return done

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(learner, "Learner", Signalled)
        try:
            stopping.handle(signal.SIGINT, interrupt)
            with pytest.raises(KeyboardInterrupt):
                learn_small(run, patch)
        finally:
            signal.signal(signal.SIGINT, before)
    assert Checkpoint(run.folder / "checkpoint.safetensors", run.origin()).progress() == Progress(0, KILL_AT)
    resumed = learn_small(run, monkeypatch)
    assert list(resumed.values()) == pytest.approx([straight[step] for step in resumed], rel=1e-3)
    assert list(resumed) == [4, 5, 6]


def test_diverged_weights_are_not_kept(faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = training.training_batches

    def spoilt(*arguments: Any) -> Iterator[Any]:
        for number, (pixels, known) in enumerate(straight(*arguments), 1):
            yield (pixels * np.float32(np.nan) if number == 4 else pixels), known

    monkeypatch.setattr(training, "training_batches", spoilt)
    run = TrainingRun(faces, recipe(STEPS), tmp_path)
    with pytest.raises(UsageError, match=r"diverged at step 4 of first.*--run"):
        learn_small(run, monkeypatch)
    assert Checkpoint(tmp_path / "checkpoint.safetensors", run.origin()).progress() == Progress(0, 2)


def test_a_run_of_other_inputs_is_refused(learned: TrainingRun, faces: TrainingFaces, tmp_path: Path) -> None:
    run = learned
    weights = tmp_path / "other.npz"
    weights.write_bytes(b"other")
    fewer = TrainingFaces(faces.paths[:-1], faces.subjects[:-1])
    for changed, name in (
        (replace(run, recipe=recipe(steps=5)), "recipe"),
        (replace(run, faces=fewer), "photos"),
        (replace(run, teacher=weights), "teacher"),
        (replace(run, weights="imagenet"), "weights"),
    ):
        with pytest.raises(UsageError, match=rf"another value of: {name}\. .*--run"):
            train(changed, lambda _: None)
    with pytest.raises(TwindexError, match=r"missing\.npz"):
        train(replace(run, weights=str(tmp_path / "missing.npz")), lambda _: None)


def test_a_recipe_that_weighs_an_unknown_folder_is_refused(faces: TrainingFaces, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"weighs the folder elsewhere, which is not among"):
        train(TrainingRun(faces, recipe(folders={"elsewhere": 2.0}), tmp_path), lambda _: None)


def test_photos_of_a_folder_come_as_often_as_its_weight_says(tmp_path: Path) -> None:
    roots = [coloured_faces(tmp_path / name, seed) for seed, name in enumerate(("often", "once"))]
    stage = {"name": "first", "steps": 12, "losses": {"distillation": 1.0}, "photos": 8, "warmup": 1}
    run = TrainingRun(TrainingFaces.scan(*roots), recipe(stages=[stage], folders={"often": 3.0}), tmp_path / "run")
    learning, _ = run.split()
    often, once = (len([photo for photo in learning if photo in folder.photos]) for folder in run.faces.folders)
    # An epoch: three times the photos of one folder, and those of the other.
    run = replace(
        run, recipe=recipe(stages=[{**stage, "photos": 3 * often + once, "steps": 2}], folders={"often": 3.0})
    )
    (_, known), _ = training_batches(run, 0, np.zeros((60, 16), np.float32), 0)
    subjects = np.bincount(known["subject"], minlength=20)
    assert (subjects[:10].sum(), subjects[10:].sum()) == (3 * often, once)


def first_pixels(dim: int, asked: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    """A teacher whose embedding is the crop's first pixels."""

    def teach(crops: np.ndarray) -> np.ndarray:
        asked.append(len(crops))
        return crops.reshape(len(crops), -1)[:, :dim].astype(np.float32)

    return teach


def test_a_teacher_may_see_what_the_student_sees(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(teacher_targets, "load_teacher", lambda *_: first_pixels(16, asked))
    stage = {"name": "first", "steps": 3, "losses": {"distillation": 1.0}, "photos": 8, "warmup": 1}
    stage["varied_targets"] = True
    clean = np.zeros((30, 16), np.float32)
    batches = {}
    for made in ("plain", "mixed", "composed"):
        shares = {} if made == "plain" else {made: 1.0}
        run = TrainingRun(faces, recipe(stages=[{**stage, **shares}]), tmp_path, tmp_path / "teacher.onnx")
        np.testing.assert_array_equal(teacher_targets.teacher_targets(run), clean)  # nobody asks for clean ones
        batches[made] = list(training_batches(run, 0, clean, 0))
        for pixels, known in batches[made]:
            np.testing.assert_array_equal(known["target"], pixels.reshape(8, -1)[:, :16])
    assert asked == [8] * 9
    for made in ("mixed", "composed"):
        changed = (batches["plain"][0][0] != batches[made][0][0]).any(axis=(1, 2, 3))
        assert changed.sum() >= 6  # one may meet itself


def test_targets_are_kept_for_the_same_photos_and_teacher_only(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    monkeypatch.setattr(teacher_targets, "load_teacher", lambda *_: first_pixels(16, asked))
    teacher = tmp_path / "teacher.onnx"
    teacher.write_bytes(b"one")
    stages = [{"name": "first", "steps": 1, "losses": {"distillation": 1.0}, "photos": 4}]
    run = TrainingRun(faces, recipe(stages=stages), tmp_path, teacher)
    first = teacher_targets.teacher_targets(run)
    np.testing.assert_array_equal(first, faces.clean(np.arange(30), 112).reshape(30, -1)[:, :16])
    np.testing.assert_array_equal(teacher_targets.teacher_targets(run), first)
    assert asked == [30]
    with pytest.raises(UsageError, match="another value of: photos"):
        teacher_targets.teacher_targets(replace(run, faces=TrainingFaces(faces.paths, faces.subjects[::-1])))
    teacher.write_bytes(b"two")
    with pytest.raises(UsageError, match=r"another value of: teacher\. .*--run"):
        teacher_targets.teacher_targets(run)


def test_distillation_without_a_teacher_is_refused(faces: TrainingFaces, tmp_path: Path) -> None:
    stages = [{"name": "first", "steps": 1, "losses": {"distillation": 1.0}, "photos": 4}]
    with pytest.raises(UsageError, match="--teacher"):
        train(TrainingRun(faces, recipe(stages=stages), tmp_path), lambda _: None)


def test_a_later_stage_s_teacher_is_missed_before_the_first_step(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {"name": "later", "steps": 1, "losses": {"distillation": 1.0}, "photos": 4, "varied_targets": True}
    run = TrainingRun(faces, recipe(stages=[{"name": "first", "steps": 4, **STAGE}, later]), tmp_path / "run")
    reports: list[StepReport] = []
    with pytest.raises(UsageError, match="--teacher"):
        train(run, reports.append)
    monkeypatch.setattr(teacher_targets, "load_teacher", load_teacher_of_length(8))
    with pytest.raises(UsageError, match="are 8 long"):
        train(replace(run, teacher=faces.paths[0]), reports.append)
    assert reports == []


def load_teacher_of_length(length: int) -> Callable[..., Callable[[np.ndarray], np.ndarray]]:
    """Stands for an ONNX file whose embeddings have another length than the recipe's."""

    def load(_model: Path, _pixels: Any, dim: int) -> Callable[[np.ndarray], np.ndarray]:
        def teach(_crops: np.ndarray) -> np.ndarray:
            raise UsageError(f"The teacher's embeddings are {length} long, not {dim}.")

        return teach

    return load


def test_a_teacher_that_no_stage_asks_is_refused(faces: TrainingFaces, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--teacher would be ignored"):
        train(TrainingRun(faces, recipe(), tmp_path, teacher=faces.paths[0]), lambda _: None)


def test_photos_that_cannot_be_read_are_told_before_the_first_step(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "faces"
    shutil.copytree(root, copied)
    faces = TrainingFaces.scan(copied)
    _, held_out = TrainingRun(faces, recipe(), tmp_path).split()
    spoilt = faces.paths[held_out[0]]
    spoilt.write_bytes(spoilt.read_bytes()[:-40])
    with pytest.raises(UsageError, match=rf"1 of {len(faces.paths)} photos cannot be learned from.*{spoilt.name}"):
        train(TrainingRun(faces, recipe(), tmp_path / "run"), lambda _: None)


def listed(photos: list[int], first: int = 0) -> TrainingFaces:
    """Faces of so many photos of each subject, none of which is a file."""
    paths = [Path(f"{name:03d}", f"{photo}.png") for name, count in enumerate(photos, first) for photo in range(count)]
    return TrainingFaces(tuple(paths), np.repeat(np.arange(len(photos)), photos))


def held_out_names(faces: TrainingFaces, share: float) -> set[str]:
    _, held_out = faces.split(share, "name")
    return {faces.paths[photo].parent.name for photo in held_out}


@pytest.mark.parametrize("by", ["name", "position"])
@pytest.mark.parametrize(
    ("photos", "share", "least"),
    [
        ([2] * 10, 0.05, 2),  # the share alone would give none
        ([2] * 40, 0.05, 2),
        ([2] * 400, 0.5, 160),
        ([1] * 9 + [2], 0.05, 2),  # and the only subject with two photos
        ([1] * 9 + [2], 0.4, 2),
    ],
)
def test_enough_subjects_are_held_out(photos: list[int], share: float, least: int, by: HeldOutBy) -> None:
    faces = listed(photos)
    learning, held_out = faces.split(share, by)
    apart = set(faces.subjects[held_out].tolist())
    assert least <= len(apart) <= 1.5 * least + 3
    assert len(apart) < len(held_out)
    assert apart.isdisjoint(faces.subjects[learning].tolist())
    assert sorted([*learning, *held_out]) == list(range(len(faces.paths)))


def test_by_position_a_fixed_permutation_decides() -> None:
    faces = listed([2] * 40)
    _, held_out = faces.split(0.1, "position")
    shuffled = np.random.default_rng(1).permutation(40)
    assert set(faces.subjects[held_out].tolist()) == set(shuffled[:4].tolist())


def test_by_name_those_who_are_added_change_nothing_for_the_others() -> None:
    before, after = held_out_names(listed([2] * 300), 0.1), held_out_names(listed([2] * 330), 0.1)
    assert before == {name for name in after if name < "300"}
    assert held_out_names(listed([2] * 250, first=50), 0.1) == {name for name in before if name >= "050"}
    assert held_out_names(listed([2] * 300), 0.05) < before < held_out_names(listed([2] * 300), 0.2)


def test_a_name_that_is_no_text_may_be_held_out() -> None:
    paths = tuple(Path(os.fsdecode(b"\xff%d" % number), f"{photo}.png") for number in range(9) for photo in range(2))
    learning, held_out = TrainingFaces(paths, np.repeat(np.arange(9), 2)).split(0.3, "name")
    assert sorted([*learning, *held_out]) == list(range(18))


@pytest.mark.parametrize("by", ["name", "position"])
@pytest.mark.parametrize(("photos", "share"), [([2, 2, 2], 0.05), ([1] * 10, 0.2), ([2] * 10, 0.98)])
def test_too_few_subjects_are_refused_before_training(photos: list[int], share: float, by: HeldOutBy) -> None:
    with pytest.raises(UsageError, match=rf"got {len(photos)} subjects.*more subjects, or another --held-out"):
        listed(photos).split(share, by)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    Image.new("RGB", (128, 128)).save(tmp_path / "ada" / "1.png")
    with pytest.raises(UsageError, match="one folder per subject"):
        TrainingFaces.scan(tmp_path)


def test_a_photo_that_is_not_square_is_refused(tmp_path: Path) -> None:
    for name in ("ada", "ben"):
        (tmp_path / name).mkdir()
        for photo in range(2):
            Image.new("RGB", (128, 100)).save(tmp_path / name / f"{photo}.png")
    with pytest.raises(UsageError, match="Expected aligned, square faces"):
        TrainingFaces.scan(tmp_path).clean(np.array([0]), 75)
