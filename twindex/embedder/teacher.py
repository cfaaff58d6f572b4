"""Embeddings of an ONNX face model, to learn from (distillation)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from twindex.embedder.recipe import Teacher
from twindex.embedder.runtime import compile_network, read_onnx
from twindex.errors import UsageError
from twindex.types import Float32, UInt8

SIZE = 112


def teacher_embeddings(model: Path, batches: Iterator[UInt8], pixels: Teacher, dim: int) -> Iterator[Float32]:
    """Embed batches of clean crops: the sum of the crop's and its mirror image's embedding, of unit length.

    Args:
        model: ONNX file with one input (batch, 3, 112, 112) and one output (batch, dim).
        batches: (n, 112, 112, 3) uint8 RGB each.
        pixels: How the model wants its pixels.
        dim: The length that the student's template has.

    Yields:
        (n, dim) float32 for each batch.

    Raises:
        UsageError: The model's embedding has another length.
    """
    network = compile_network(read_onnx(model))
    mean = np.array(pixels.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.array(pixels.std, np.float32).reshape(1, 3, 1, 1)
    for batch in batches:
        planes = (batch.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std
        embeddings = network(planes)[0] + network(np.ascontiguousarray(planes[..., ::-1]))[0]
        if embeddings.shape[1:] != (dim,):
            raise UsageError(f"The teacher's embeddings are {embeddings.shape[1:]} long; set the recipe's dim to that.")
        yield (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
