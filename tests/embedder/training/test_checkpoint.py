"""Checkpoints of a small network: what comes back, and what is refused."""

from pathlib import Path

import keras
import numpy as np
import pytest

from twindex.embedder.training.checkpoint import Checkpoint, Progress
from twindex.errors import IntegrityError, UsageError

ORIGIN = {"recipe": "ab", "photos": "cd"}


def network(units: int = 3) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.BatchNormalization()])
    model.compile(keras.optimizers.AdamW(1e-3), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def state(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(one) for one in (*model.variables, *model.optimizer.variables)]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoint.safetensors", ORIGIN)


def test_weights_optimizer_and_progress_come_back(checkpoint: Checkpoint) -> None:
    model, other = network(), network()
    random = np.random.default_rng(1)
    for variable in (*model.trainable_variables, *model.optimizer.variables[2:]):
        variable.assign(random.normal(size=variable.shape))
    model.optimizer.iterations.assign(7)
    assert checkpoint.progress() is None
    checkpoint.save(model, Progress(1, 7))
    assert checkpoint.progress() == Progress(1, 7)
    checkpoint.restore(other)
    for found, expected in zip(state(other), state(model), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_weights_that_are_not_finite_leave_the_last_checkpoint(checkpoint: Checkpoint) -> None:
    model = network()
    checkpoint.save(model, Progress(0, 2))
    kept = checkpoint.path.read_bytes()
    kernel = model.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(UsageError, match=r"diverged by step 4.*--run"):
        checkpoint.save(model, Progress(0, 4))
    assert checkpoint.path.read_bytes() == kept


def test_another_origin_is_refused_by_name(checkpoint: Checkpoint) -> None:
    checkpoint.save(network(), Progress(0, 2))
    with pytest.raises(UsageError, match=r"another value of: photos\. .*--run"):
        Checkpoint(checkpoint.path, {**ORIGIN, "photos": "ee"}).progress()


def test_a_damaged_file_is_refused(checkpoint: Checkpoint) -> None:
    checkpoint.save(network(), Progress(0, 2))
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="is damaged"):
        checkpoint.progress()
    with pytest.raises(IntegrityError, match="is damaged"):
        checkpoint.restore(network())


def test_variables_of_another_network_are_refused(checkpoint: Checkpoint) -> None:
    checkpoint.save(network(), Progress(0, 2))
    with pytest.raises(IntegrityError, match="other variables"):
        checkpoint.restore(network(units=4))
