"""One compiled step: faces drawn, varied, shown to the teacher and learned from, all in device memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from twindex.embedder.training.on_device.variation import composed, draw, mixed, vary
from twindex.embedder.training.recipe.stage import Stage
from twindex.embedder.training.twin.learner import Learner

Tensor = Any  # a JAX array
State = tuple[list[Tensor], list[Tensor], list[Tensor]]  # trainable, other and optimizer variables
TeachOnDevice = Callable[[Tensor], Tensor]


def initial_state(learner: Learner) -> State:
    """The variables of a learner, built and compiled."""
    return (
        [variable.value for variable in learner.trainable_variables],
        [variable.value for variable in learner.non_trainable_variables],
        [variable.value for variable in learner.optimizer.variables],
    )


def assign_state(learner: Learner, state: State) -> None:
    """Set a learner's own variables, so that all that works with the learner sees what was learned."""
    variables = (learner.trainable_variables, learner.non_trainable_variables, learner.optimizer.variables)
    for named, values in zip(variables, state, strict=True):
        for variable, value in zip(named, values, strict=True):
            variable.assign(value)


def loss_of(
    learner: Learner, trainable: list[Tensor], other: list[Tensor], pixels: Tensor, known: dict[str, Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """A stage's loss on one batch, and the other variables (moving statistics) after it."""
    mapping = [
        *zip(learner.trainable_variables, trainable, strict=True),
        *zip(learner.non_trainable_variables, other, strict=True),
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        loss = learner.compute_loss(y=known, y_pred=learner(pixels, training=True))
    updated = [
        value if (new := scope.get_current_value(variable)) is None else new
        for variable, value in zip(learner.non_trainable_variables, other, strict=True)
    ]
    return loss, updated


def build_step(
    learner: Learner, stage: Stage, faces: Tensor, teach: TeachOnDevice | None
) -> Callable[[State, Tensor, Tensor, Tensor, Tensor], tuple[State, Tensor]]:
    """The step: from a state, a random key, photos (n,) and subjects (n,) int32 and a learning rate to the next state
    and the loss.

    Args:
        learner: Built and compiled; its optimizer's rate is a variable.
        stage: What to learn.
        faces: (photos, edge, edge, 3) uint8, in device memory.
        teach: The teacher, for a stage that distils.
    """
    optimizer, size = learner.optimizer, learner.branch.input_shape[1]
    rate_place = next(
        place for place, variable in enumerate(optimizer.variables) if variable is optimizer.learning_rate
    )
    gradient = jax.value_and_grad(
        lambda trainable, other, pixels, known: loss_of(learner, trainable, other, pixels, known), has_aux=True
    )

    def step(faces: Tensor, state: State, key: Tensor, photos: Tensor, subjects: Tensor, rate: Tensor) -> Any:
        trainable, other, optimizing = state
        varying, composing, mixing = jax.random.split(key, 3)
        pixels = vary(faces[photos], size, draw(varying, photos.shape[0], stage.augmentation))
        if stage.composed:
            pixels = composed(composing, pixels, stage.composed)
        if stage.mixed:
            pixels = mixed(mixing, pixels, stage.mixed)
        known = {"subject": subjects}
        if teach is not None:
            known["target"] = jax.lax.stop_gradient(teach(pixels))
        (loss, other), gradients = gradient(trainable, other, pixels, known)
        optimizing = [rate if place == rate_place else value for place, value in enumerate(optimizing)]
        trainable, optimizing = optimizer.stateless_apply(optimizing, gradients, trainable)
        return (trainable, other, optimizing), loss

    compiled = jax.jit(step, donate_argnums=1)
    return lambda state, key, photos, subjects, rate: compiled(faces, state, key, photos, subjects, rate)


def build_embedding(learner: Learner) -> Callable[[State, Tensor], Tensor]:
    """Templates of pixels, (n, size, size, 3) float32, as inference gives them."""

    def embed(state: State, pixels: Tensor) -> Tensor:
        templates, _ = learner.stateless_call(state[0], state[1], pixels, training=False)
        return templates

    return jax.jit(embed)


def load_teacher_on_device(network: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor) -> TeachOnDevice:
    """The teacher's templates of pixels from 0 to 255: the crop's and its mirror image's added, of unit length."""
    mean, std = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)

    def teach(pixels: Tensor) -> Tensor:
        planes = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2)
        both = network(planes) + network(planes[..., ::-1])
        return both / jnp.linalg.norm(both, axis=1, keepdims=True)

    return teach
