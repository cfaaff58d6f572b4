"""The loss on held-out people, by folder, against the losses computed by hand."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.embedder.coloured_faces import coloured_faces
from tests.embedder.training.test_loop import first_pixels, recipe, small_branch
from twindex.embedder.training import held_out, teacher_targets
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.held_out import HeldOutLoss
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.twin import losses
from twindex.embedder.training.twin.learner import Learner
from twindex.embedder.training.twin.network import build_head


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TrainingFaces:
    root = tmp_path_factory.mktemp("faces")
    labelled, single = coloured_faces(root / "labelled", seed=1), coloured_faces(root / "single", seed=2)
    for photo in single.glob("*/[12].png"):
        photo.unlink()
    return TrainingFaces.scan(labelled, single)


def measured(run: TrainingRun) -> tuple[dict[str, float], Any]:
    keras.utils.set_random_seed(3)
    stage, head = run.recipe.stages[0], build_head()
    head.build((None, 1))
    learner = Learner(small_branch((75, 75, 3), 16), head, stage)
    return HeldOutLoss(run, stage)(learner), learner.branch


def of_folder(run: TrainingRun, name: str) -> np.ndarray:
    """The held-out photos of a folder."""
    (folder,) = (folder for folder in run.faces.folders if folder.name == name)
    return np.array([photo for photo in run.split()[1] if photo in folder.photos])


def test_a_loss_of_pairs_is_measured_on_clean_held_out_photos_of_labelled_folders(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    stage = {"name": "one", "steps": 2, "losses": {"contrastive": 2.0}, "people": 2, "photos": 2, "warmup": 1}
    run = TrainingRun(faces, recipe(stages=[stage]), tmp_path)
    found, branch = measured(run)
    photos = of_folder(run, "labelled")
    templates = branch(faces.clean(photos, 75).astype(np.float32), training=False)
    expected = 2.0 * float(losses.contrastive(templates, faces.subjects[photos].astype(np.int32)))
    assert found == {"labelled": pytest.approx(expected, rel=1e-4)}


def test_distillation_is_measured_on_every_folder(
    faces: TrainingFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_targets, "load_teacher", lambda *_: first_pixels(16, []))
    stage = {"name": "one", "steps": 2, "losses": {"distillation": 1.0}, "photos": 4, "warmup": 1}
    run = TrainingRun(faces, recipe(stages=[stage]), tmp_path, tmp_path / "teacher.onnx")
    found, branch = measured(run)
    assert list(found) == ["labelled", "single"]
    for name, loss in found.items():
        photos = of_folder(run, name)
        templates = branch(faces.clean(photos, 75).astype(np.float32), training=False)
        targets = first_pixels(16, [])(faces.clean(photos, 112))
        assert loss == pytest.approx(float(losses.distillation(templates, targets)), rel=1e-4)


def test_a_large_folder_is_sampled_in_runs_of_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "BATCH", 4)
    photos = np.arange(0, 200, 2)
    chosen = held_out._chosen(photos, range(100, 200))
    # Three runs of four, the first and the last of the folder among them.
    assert chosen.tolist() == [100, 102, 104, 106, 148 - 2, 148, 150, 152, 192, 194, 196, 198]
    assert held_out._chosen(photos, range(100, 106)).tolist() == [100, 102, 104]
