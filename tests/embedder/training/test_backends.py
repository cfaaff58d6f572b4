"""The same training code on each of Keras' backends: one process each, the same losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedder.coloured_faces import coloured_faces

REPOSITORY = Path(__file__).parents[3]
STEPS = 5
LEARN = """
import json, sys
from pathlib import Path
import keras, numpy as np, pytest
from tests.embedder.training import test_loop as test_training
from tests.embedder.training.test_loop import learn_small, recipe, small_branch
from twindex.embedder.training.loop import fastest_precision
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.run import TrainingRun

def set_branch(shape, dim, weights=None):
    branch, random = small_branch(shape, dim), np.random.default_rng(4)
    for variable in branch.trainable_variables:
        variable.assign(random.normal(0, 0.1, variable.shape))
    return branch

test_training.small_branch = set_branch
losses = {name: 0.25 for name in ("binary_crossentropy", "contrastive", "triplet")}
stages = [{**test_training.STAGE, "name": "all", "steps": int(sys.argv[3]), "losses": losses}]
run = TrainingRun(TrainingFaces.scan(Path(sys.argv[1])), recipe(stages=stages), Path(sys.argv[2]))
with pytest.MonkeyPatch.context() as patch:
    losses = list(learn_small(run, patch).values())
print(json.dumps([keras.backend.backend(), fastest_precision(), losses]))
"""


def learned(backend: str, faces: Path, folder: Path) -> tuple[str, list[float]]:
    """The arithmetic that is fastest, and the loss of every step, learned in a process of its own."""
    command = [sys.executable, "-c", LEARN, str(faces), str(folder), str(STEPS)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    name, precision, losses = json.loads(done.stdout.splitlines()[-1])
    assert name == backend
    return precision, [float(loss) for loss in losses]


@pytest.mark.slow
def test_tensorflow_and_jax_learn_alike(tmp_path: Path) -> None:
    faces = coloured_faces(tmp_path / "faces", seed=2)
    (precision, tensorflow), (same, jax) = (learned(name, faces, tmp_path / name) for name in ("tensorflow", "jax"))
    assert same == precision
    assert len(jax) == STEPS
    assert jax == pytest.approx(tensorflow, rel=2e-3)
    assert jax[-1] < jax[0]
