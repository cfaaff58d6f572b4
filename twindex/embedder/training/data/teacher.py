"""Embeddings of an ONNX face model, to learn from (distillation)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from twindex.embedder.inference.runtime import compile_network, computes_in_bfloat16, read_onnx
from twindex.embedder.training.recipe.recipe import Teacher
from twindex.errors import UsageError
from twindex.types import Float32, UInt8

SIZE = 112

Teach = Callable[[UInt8], Float32]


def load_teacher(model: Path, pixels: Teacher, dim: int) -> Teach:
    """A function from crops to the teacher's embeddings: the sum of the crop's and its mirror image's, of unit length.

    Args:
        model: ONNX file with one input (batch, 3, 112, 112) and one output (batch, dim).
        pixels: How the model wants its pixels.
        dim: The length that the student's template has.

    Returns:
        From (n, size, size, 3) uint8 RGB to (n, dim) float32; it raises UsageError where the model's embedding has
        another length.
    """
    fast = pixels.precision == "bfloat16" or (pixels.precision == "auto" and computes_in_bfloat16())
    network = compile_network(read_onnx(model), precision="bfloat16" if fast else "float32")
    mean = np.array(pixels.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.array(pixels.std, np.float32).reshape(1, 3, 1, 1)

    def teach(crops: UInt8) -> Float32:
        planes = (_sized(crops).transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std
        embeddings = network(planes)[0] + network(np.ascontiguousarray(planes[..., ::-1]))[0]
        if embeddings.shape[1:] != (dim,):
            raise UsageError(f"The teacher's embeddings are {embeddings.shape[1:]} long; set the recipe's dim to that.")
        unit: Float32 = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
        return unit

    return teach


def _sized(crops: UInt8) -> UInt8:
    """The crops at the teacher's size."""
    if crops.shape[1] == SIZE:
        return crops
    return np.stack([np.asarray(Image.fromarray(crop).resize((SIZE, SIZE), Image.Resampling.BOX)) for crop in crops])
