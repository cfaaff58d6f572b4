"""Training on the device against the ordinary path, in a process whose Keras runs on JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.embedder.coloured_faces import coloured_faces
from tests.embedder.training.on_device.toy_teacher import DIM, toy_teacher
from twindex.embedder.training.on_device.run import learning_rate
from twindex.embedder.training.recipe.stage import Stage

pytestmark = [pytest.mark.train, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[4]
COMMON = """
import json, sys
from pathlib import Path
import jax, jax.numpy as jnp, keras, numpy as np
from tests.embedder.training.test_loop import recipe, small_branch
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin.network import build_head

stage = {"name": "first", "losses": {"distillation": 1.0}, "steps": 40, "photos": 8, "varied_targets": True,
         "learning_rate": 3e-3, "warmup": 1, "augmentation": {"occlusion": 0.2}, "mixed": 0.2, "composed": 0.2}
made = recipe(stages=[stage], dim=16, input_size=112, teacher={"mean": [0, 0, 0], "std": [1 / 255] * 3})
run = TrainingRun(TrainingFaces.scan(Path(sys.argv[1])), made, Path(sys.argv[2]), Path(sys.argv[3]))
run.folder.mkdir()
branch, head = small_branch((112, 112, 3), 16), build_head()
random = np.random.default_rng(4)
for variable in branch.trainable_variables:
    variable.assign(random.normal(0, 0.1, variable.shape))
head.build((None, 1))
"""
SAME_LOSS = (
    COMMON
    + """
from twindex.embedder.training.on_device import step as device
from twindex.embedder.training.on_device.onnx_graph import load_onnx
from twindex.embedder.training.on_device.run import _learner
from twindex.embedder.training.on_device.variation import composed, draw, mixed, vary
from twindex.embedder.training.teacher_targets import run_teacher

first = run.recipe.stages[0]
learner = _learner(branch, head, first)
faces = jnp.asarray(np.stack([run.faces.photo(number) for number in range(len(run.faces.paths))]))
teach = device.load_teacher_on_device(load_onnx(run.teacher), np.zeros(3), np.full(3, 1 / 255))
step, state = device.build_step(learner, first, faces, teach), device.initial_state(learner)
losses, ordinary = [], []
for number in range(3):
    photos, key = jnp.arange(8 * number, 8 * number + 8), jax.random.key(number)
    subjects = jnp.zeros(8, jnp.int32)
    varying, composing, mixing = jax.random.split(key, 3)
    pixels = vary(faces[photos], 112, draw(varying, 8, first.augmentation))
    pixels = mixed(mixing, composed(composing, pixels, first.composed), first.mixed)
    device.assign_state(learner, state)
    known = {"subject": subjects, "target": run_teacher(run)(np.asarray(pixels).astype(np.uint8))}
    templates = learner(np.asarray(pixels), training=True)
    ordinary.append(float(learner.compute_loss(y=known, y_pred=templates)))
    device.assign_state(learner, state)
    state, loss = step(device.initial_state(learner), key, photos, subjects, np.float32(1e-3))
    losses.append(float(loss))
print(json.dumps([losses, ordinary]))
"""
)
WHOLE_RUN = (
    COMMON
    + """
from twindex.embedder.model import weights
from twindex.embedder.training.on_device import run as device

device.encode_weights = lambda arrays, dim: b"weights of " + str(len(arrays)).encode()
device.branch_arrays = lambda branch: {v.path: np.asarray(v) for v in branch.variables}
device.REPORT_EVERY = 10
pixels = np.stack([run.faces.photo(number) for number in range(len(run.faces.paths))])
reports = []
file = device.train_on_device(run, branch, head, pixels, seconds=float(sys.argv[4]), checkpoint_seconds=0.0,
                              listener=reports.append)
print(json.dumps([[report.__dict__ for report in reports], file.read_bytes().decode()]))
"""
)


def run(program: str, folder: Path, *arguments: object) -> list:
    faces = coloured_faces(folder / "faces", seed=3)
    teacher = toy_teacher(folder / "teacher.onnx")
    command = [sys.executable, "-c", program, str(faces), str(folder / "run"), str(teacher), *map(str, arguments)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:].splitlines()[-1]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_draw_has_the_same_loss_as_on_the_ordinary_path(tmp_path: Path) -> None:
    assert DIM == 16
    losses, ordinary = run(SAME_LOSS, tmp_path)
    assert losses == pytest.approx(ordinary, rel=1e-3)
    assert len({round(loss, 4) for loss in losses}) == 3


def test_a_run_learns_measures_held_out_people_and_keeps_the_best(tmp_path: Path) -> None:
    reports, kept = run(WHOLE_RUN, tmp_path, 600)
    assert [report["step"] for report in reports] == [10, 20, 30, 40]
    assert reports[-1]["loss"] < reports[0]["loss"]
    assert set(reports[-1]["held_out"]) == {"faces"}
    assert kept.startswith("weights of ")
    logged = [json.loads(line) for line in (tmp_path / "run" / "device.jsonl").read_text().splitlines()]
    assert logged == reports


def test_a_run_whose_time_is_up_before_it_measured_says_so(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the time was up before the first measurement"):
        run(WHOLE_RUN, tmp_path, 0.001)


def test_the_rate_warms_up_and_comes_down_with_the_share_used() -> None:
    stage = Stage("s", {"distillation": 1.0}, 100, learning_rate=1e-3, final_learning_rate=1e-4, warmup=10)
    assert learning_rate(stage, 0, 0.0) == pytest.approx(1e-4)
    assert learning_rate(stage, 9, 0.0) == pytest.approx(1e-3)
    assert learning_rate(stage, 50, 0.5) == pytest.approx(5.5e-4)
    assert learning_rate(stage, 50, 1.0) == pytest.approx(1e-4)
    rates = [learning_rate(stage, step, step / 100) for step in range(10, 100)]
    assert np.all(np.diff(rates) < 0)
