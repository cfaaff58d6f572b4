"""Training on a few synthetic faces: it learns, resumes to the same result, and ends in a bundle."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from twindex.embedder import training
from twindex.embedder.bundle import load_bundle
from twindex.embedder.export import export_bundle
from twindex.embedder.network import branch_arrays
from twindex.embedder.recipe import recipe_from
from twindex.embedder.training import StepReport, TrainingRun, train
from twindex.embedder.training_faces import TrainingFaces
from twindex.errors import UsageError

STAGE = {"losses": {"binary_crossentropy": 1.0}, "people": 4, "photos": 2, "learning_rate": 1e-3, "warmup": 1}


def recipe(steps: int = 4):
    stages = [{"name": "first", "steps": steps, **STAGE}]
    return recipe_from(
        {"name": "tiny", "input_size": 75, "dim": 16, "held_out": 0.4, "precision": "float32", "stages": stages}
    )


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TrainingFaces:
    root, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(1)
    for subject in range(10):
        (root / f"{subject}").mkdir()
        look = random.integers(40, 216, (4, 4, 3))
        for photo in range(3):
            pixels = np.clip(look + random.normal(0, 12, look.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((128, 128)).save(root / f"{subject}" / f"{photo}.png")
    return TrainingFaces.scan(root)


@pytest.fixture(scope="module")
def straight(faces: TrainingFaces, tmp_path_factory: pytest.TempPathFactory):
    run = TrainingRun(faces, recipe(), tmp_path_factory.mktemp("straight"))
    return run, train(run, lambda _: None)


class KilledError(Exception):
    pass


def test_a_killed_run_resumes_to_the_same_weights(
    faces: TrainingFaces, straight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 2)
    run = TrainingRun(faces, recipe(), tmp_path / "run")

    def kill(report: StepReport) -> None:
        if report.step == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(run, kill)
    steps = []
    resumed = train(run, lambda report: steps.append(report.step))
    assert steps == [4]
    expected, found = branch_arrays(straight[1].branch), branch_arrays(resumed.branch)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-3, err_msg=name)
    np.testing.assert_allclose(resumed.mated, straight[1].mated, atol=2e-2)


def test_training_changes_the_branch_and_logs_its_loss(straight) -> None:
    run, trained = straight
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4]
    assert np.isfinite(lines[0]["loss"])
    keras.utils.set_random_seed(run.recipe.seed)
    fresh = branch_arrays(training.build_branch((75, 75, 3), 16))
    assert np.abs(branch_arrays(trained.branch)["projection/kernel"] - fresh["projection/kernel"]).max() > 1e-4


def test_the_bundle_holds_what_was_trained(straight, tmp_path: Path) -> None:
    run, trained = straight
    card = export_bundle(trained, run, tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.card == card
    assert card.head_weight < 0
    arrays = loaded.arrays()
    for name, array in branch_arrays(trained.branch).items():
        np.testing.assert_array_equal(arrays[name], array.astype(np.float16), err_msg=name)


def test_a_checkpoint_of_another_recipe_is_refused(straight) -> None:
    run, _ = straight
    with pytest.raises(UsageError, match="belongs to another recipe"):
        train(TrainingRun(run.faces, recipe(steps=5), run.folder), lambda _: None)


def test_distillation_without_a_teacher_is_refused(faces: TrainingFaces, tmp_path: Path) -> None:
    stages = [{"name": "first", "steps": 1, "losses": {"distillation": 1.0}, "photos": 4}]
    wanted = recipe_from({"name": "tiny", "input_size": 75, "held_out": 0.2, "stages": stages})
    with pytest.raises(UsageError, match="--teacher"):
        train(TrainingRun(faces, wanted, tmp_path), lambda _: None)


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
