"""A learner of one stage: which of the branch's convolutions it may change."""

import keras
import numpy as np
import pytest

from twindex.embedder.training.recipe.stage import Stage
from twindex.embedder.training.twin.fused_norm import with_fused_norms
from twindex.embedder.training.twin.learner import build_learner
from twindex.embedder.training.twin.network import build_head, freeze

CONVOLUTIONS = 3
TARGETS = np.eye(4, dtype=np.float32)
PIXELS = np.random.default_rng(3).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)


def small_branch() -> keras.Model:
    layers = keras.layers
    flow = pixels = keras.Input((16, 16, 3))
    for _ in range(CONVOLUTIONS):
        flow = layers.Conv2D(4, 3, use_bias=False)(flow)
        flow = layers.BatchNormalization(scale=False)(flow)
        flow = layers.Activation("relu")(flow)
    template = layers.UnitNormalization()(layers.Dense(4, name="projection")(layers.Flatten()(flow)))
    return with_fused_norms(keras.Model(pixels, template))


def changed(branch: keras.Model, stage: Stage) -> list[bool]:
    """For each convolution and for each normalisation, whether a stage of two steps changed any of its variables."""
    kinds = (keras.layers.Conv2D, keras.layers.BatchNormalization)
    blocks = [layer for kind in kinds for layer in branch.layers if isinstance(layer, kind)]
    before = [layer.get_weights() for layer in blocks]
    head = build_head()
    head.build((None, 1))
    learner = build_learner(branch, head, stage)
    for _ in range(2):
        learner.train_on_batch(PIXELS, {"target": TARGETS})
    after = [layer.get_weights() for layer in blocks]
    return [
        any((old != new).any() for old, new in zip(olds, news, strict=True))
        for olds, news in zip(before, after, strict=True)
    ]


@pytest.mark.parametrize("frozen", [0, 2])
def test_frozen_convolutions_keep_weights_and_statistics(frozen: int) -> None:
    stage = Stage("some", {"distillation": 1.0}, steps=10, warmup=1, frozen=frozen)
    assert changed(small_branch(), stage) == 2 * [number >= frozen for number in range(CONVOLUTIONS)]


def test_a_later_stage_learns_what_an_earlier_one_kept() -> None:
    branch = small_branch()
    freeze(branch, CONVOLUTIONS)
    assert all(changed(branch, Stage("all", {"distillation": 1.0}, steps=10, warmup=1)))


def test_the_head_does_not_decay() -> None:
    weights = []
    for weight_decay in (0.0, 10.0):
        keras.utils.set_random_seed(1)
        branch, head = small_branch(), build_head()
        head.build((None, 1))
        stage = Stage(
            "pairs", {"binary_crossentropy": 1.0}, 10, people=2, photos=2, warmup=1, weight_decay=weight_decay
        )
        known = {"subject": np.array([0, 0, 1, 1], np.int32), "target": TARGETS}
        build_learner(branch, head, stage).train_on_batch(PIXELS, known)
        weights.append([variable.numpy() for variable in head.trainable_variables])
    np.testing.assert_array_equal(weights[0][0], weights[1][0])
    np.testing.assert_array_equal(weights[0][1], weights[1][1])
