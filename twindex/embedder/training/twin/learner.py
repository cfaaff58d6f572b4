"""The twin while it learns: branch and head as one Keras model whose loss is a stage's sum of losses."""

from typing import Any

import keras

from twindex.embedder.training.recipe.stage import Stage
from twindex.embedder.training.twin import losses
from twindex.embedder.training.twin.network import freeze


class Learner(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """Trains a branch and a head on batches of (pixels, {"subject": labels, "target": teacher's embeddings}).

    Pairs are formed inside the batch, so the branch sees every photo once however many pairs it is in; the result is
    that of the twin on those pairs.
    """

    def __init__(self, branch: keras.Model, head: keras.layers.Layer, stage: Stage) -> None:
        super().__init__(name="learner")
        self.branch = branch
        self.head = head
        self.stage_losses = dict(stage.losses)
        self.head.trainable = "binary_crossentropy" in stage.losses

    def call(self, pixels: Any, training: bool = False) -> Any:
        return self.branch(pixels, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        total = 0.0
        for name, weight in self.stage_losses.items():
            total += weight * self._loss(name, y_pred, y)
        return total

    def _loss(self, name: str, templates: Any, known: dict[str, Any]) -> Any:
        if name == "distillation":
            return losses.distillation(templates, known["target"])
        if name == "binary_crossentropy":
            return losses.binary_crossentropy(templates, known["subject"], self.head)
        if name == "contrastive":
            return losses.contrastive(templates, known["subject"])
        return losses.triplet_semi_hard(templates, known["subject"])


def build_learner(branch: keras.Model, head: keras.layers.Layer, stage: Stage) -> Learner:
    """A learner compiled for one stage: AdamW (Loshchilov and Hutter 2019), linear warm-up, cosine decay."""
    freeze(branch, stage.frozen)
    learner = Learner(branch, head, stage)
    decay = max(1, stage.steps - stage.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=stage.learning_rate * 1e-2,
        decay_steps=decay,
        alpha=stage.final_learning_rate / stage.learning_rate,
        warmup_target=stage.learning_rate,
        warmup_steps=max(1, min(stage.warmup, stage.steps - 1)),
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=stage.weight_decay)
    # The head's by themselves: whether a variable's name has the layer's in it depends on the backend.
    optimizer.exclude_from_weight_decay(var_list=head.trainable_variables, var_names=["beta", "bias"])
    learner.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    learner.build((None, *branch.input_shape[1:]))
    optimizer.build(learner.trainable_variables)
    return learner
