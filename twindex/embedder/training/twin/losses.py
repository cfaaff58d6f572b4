"""Losses over one batch of templates; Keras operations only.

Shapes: `templates` (n, dim) float32, unit length; `subjects` (n,) integer labels, equal for the same person;
`targets` (n, dim) float32, unit length, a teacher's embeddings of the same photos.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

PairHead = Callable[[Any], Any]
_DISTANCE_EPSILON = 1e-12


def pairwise_distances(templates: Any) -> Any:
    """Euclidean distances of all pairs of unit-length templates, (n, n): sqrt(2 - 2 a.b)."""
    cosines = ops.matmul(templates, ops.transpose(templates))
    return ops.sqrt(ops.maximum(2.0 - 2.0 * cosines, _DISTANCE_EPSILON))


def pair_masks(subjects: Any) -> tuple[Any, Any]:
    """Mated and non-mated pairs of a batch as two (n, n) float32 masks; every unordered pair counts once."""
    same = ops.equal(ops.expand_dims(subjects, 0), ops.expand_dims(subjects, 1))
    upper = ops.triu(ops.ones_like(ops.cast(same, "float32")), k=1)
    mated = ops.cast(same, "float32") * upper
    return mated, upper - mated


def binary_crossentropy(templates: Any, subjects: Any, head: PairHead, hardest: int = 256) -> Any:
    """Cross-entropy through the learned head: all mated pairs plus the `hardest` non-mated ones.

    Args:
        head: Maps (m, 1) distances to (m, 1) probabilities.
        hardest: How many non-mated pairs, those of the highest probability, are counted.
    """
    distances = ops.reshape(pairwise_distances(templates), (-1, 1))
    probability = ops.clip(ops.reshape(head(distances), (-1,)), 1e-6, 1 - 1e-6)
    mated, non_mated = (ops.reshape(mask, (-1,)) for mask in pair_masks(subjects))
    of_mated = -ops.sum(mated * ops.log(probability)) / ops.maximum(ops.sum(mated), 1.0)
    penalties = -non_mated * ops.log(1.0 - probability)
    worst, _ = ops.top_k(penalties, k=min(hardest, penalties.shape[0] or hardest))
    counted = ops.minimum(ops.sum(non_mated), float(hardest))
    return of_mated + ops.sum(worst) / ops.maximum(counted, 1.0)


def contrastive(templates: Any, subjects: Any, margin: float = 1.0) -> Any:
    """Contrastive loss with margin (Hadsell, Chopra and LeCun 2006), mean over all pairs of each kind."""
    distances = pairwise_distances(templates)
    mated, non_mated = pair_masks(subjects)
    pull = ops.sum(mated * ops.square(distances)) / ops.maximum(ops.sum(mated), 1.0)
    gap = ops.square(ops.maximum(margin - distances, 0.0))
    push = ops.sum(non_mated * gap) / ops.maximum(ops.sum(non_mated), 1.0)
    return 0.5 * (pull + push)


def triplet_semi_hard(templates: Any, subjects: Any, margin: float = 0.2) -> Any:
    """Triplet loss with semi-hard mining (Schroff, Kalenichenko and Philbin 2015), on squared distances.

    Every ordered mated pair is an anchor and a positive. Its negative is the nearest one that is still farther than the
    positive; where none is, the farthest negative.
    """
    squared = ops.square(pairwise_distances(templates))
    same = ops.equal(ops.expand_dims(subjects, 0), ops.expand_dims(subjects, 1))
    negative = ops.cast(ops.logical_not(same), "float32")
    positive = ops.cast(same, "float32") - ops.eye(ops.shape(squared)[0])
    anchor_negative = ops.expand_dims(squared, 1)
    farther = ops.cast(anchor_negative > ops.expand_dims(squared, 2), "float32") * ops.expand_dims(negative, 1)
    beyond = 1.0 + ops.max(squared)
    nearest_farther = ops.min(anchor_negative + beyond * (1.0 - farther), axis=2)
    farthest = ops.max(squared * negative, axis=1, keepdims=True)
    chosen = ops.where(ops.max(farther, axis=2) > 0, nearest_farther, farthest)
    violations = ops.maximum(squared - chosen + margin, 0.0) * positive
    return ops.sum(violations) / ops.maximum(ops.sum(positive), 1.0)


def distillation(templates: Any, targets: Any) -> Any:
    """Follow a teacher: mean(1 - cos(student, teacher)) + 2 x mean squared difference of
    (student_i . teacher_j) and (teacher_i . teacher_j) over all pairs of the batch."""
    targets = ops.convert_to_tensor(targets)
    direct = 1.0 - ops.mean(ops.sum(templates * targets, axis=-1))
    across = ops.matmul(templates, ops.transpose(targets))
    among = ops.matmul(targets, ops.transpose(targets))
    return direct + 2.0 * ops.mean(ops.square(across - among))
