"""Variation of faces on the device: what `data/variation.py` does with Pillow, for a whole batch at once.

Every draw is one row of an array, so that a test can give both the same ones. Pixels are float32 from 0 to 255.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twindex.embedder.faces.alignment import MARGIN, TEMPLATE_SIZE
from twindex.embedder.training.recipe.stage import Augmentation

Tensor = Any  # a JAX array
CELLS = 4  # of the net that bends a face, along each edge
BLOTCHES = 4  # of a mask that takes parts of a face, along each edge
_STEEPNESS = 6.0
_SHORTEST_COVER, _LONGEST_COVER = 0.15, 0.5
_GREY = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow converts


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["scale", "shift", "light", "mirrored", "grey", "bends", "covered", "cover", "colour"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Draws:
    """How each face of a batch of n is varied.

    Attributes:
        scale: (n,) zoom.
        shift: (n, 2) of the content, right and down, shares of the edge.
        light: (n, 2) factors of brightness and contrast.
        mirrored, grey, covered: (n,) bool.
        bends: (n, cells + 1, cells + 1, 2) shares of the edge: how far beside its place each knot of a net looks.
        cover: (n, 4) rectangle to cover: left, top, width and height, shares of the edge.
        colour: (n, 3) of the rectangle, 0 to 255.
    """

    scale: Tensor
    shift: Tensor
    light: Tensor
    mirrored: Tensor
    grey: Tensor
    bends: Tensor
    covered: Tensor
    cover: Tensor
    colour: Tensor


def draw(key: Tensor, count: int, augmentation: Augmentation) -> Draws:
    """Random draws as an augmentation says."""
    keys = jax.random.split(key, 9)
    uniform = jax.random.uniform
    low, high = augmentation.scale
    lengths = uniform(keys[6], (count, 2), minval=_SHORTEST_COVER, maxval=_LONGEST_COVER)
    corners = uniform(keys[7], (count, 2)) * (1 - lengths)
    knots = (count, CELLS + 1, CELLS + 1, 2)
    return Draws(
        scale=uniform(keys[0], (count,), minval=low, maxval=high),
        shift=uniform(keys[1], (count, 2), minval=-augmentation.shift, maxval=augmentation.shift),
        light=uniform(keys[2], (count, 2), minval=1 - augmentation.light, maxval=1 + augmentation.light),
        mirrored=uniform(keys[3], (count,)) < 0.5 * augmentation.flip,
        grey=uniform(keys[4], (count,)) < augmentation.grey,
        bends=uniform(keys[5], knots, minval=-augmentation.bend, maxval=augmentation.bend),
        covered=uniform(jax.random.fold_in(keys[6], 1), (count,)) < augmentation.occlusion,
        cover=jnp.concatenate([corners, lengths], axis=1),
        colour=jnp.floor(uniform(keys[8], (count, 3)) * 256),
    )


def vary(faces: Tensor, size: int, draws: Draws) -> Tensor:
    """The template's square of each face, varied.

    Args:
        faces: (n, edge, edge, 3) uint8, framed as a gallery's crops are.
        size: Edge of the result, pixels.
        draws: One for each face.

    Returns:
        (n, size, size, 3) float32, whole numbers from 0 to 255.
    """
    lit = _lit(faces.astype(jnp.float32), draws)
    crops = jax.vmap(partial(_framed, size=size))(lit, draws.scale, draws.shift, draws.bends)
    return _covered(jnp.floor(crops), draws)  # as Pillow cuts off


def composed(key: Tensor, crops: Tensor, share: float) -> Tensor:
    """Crops, of which a share have parts of another one, by a soft random mask (E. Harris et al., "FMix", 2020)."""
    count, size = crops.shape[0], crops.shape[1]
    chosen, order, heights = jax.random.split(key, 3)
    blotches = jax.random.uniform(heights, (count, BLOTCHES, BLOTCHES))
    smooth = jax.image.resize(blotches, (count, size, size), "cubic")
    mask = jnp.clip((smooth - 0.5) * _STEEPNESS + 0.5, 0, 1)[..., None]
    mask = mask * (jax.random.uniform(chosen, (count, 1, 1, 1)) < share)
    return jnp.round(crops * (1 - mask) + crops[jax.random.permutation(order, count)] * mask)


def mixed(key: Tensor, crops: Tensor, share: float) -> Tensor:
    """Crops, through a share of which another one shows by up to a half (H. Zhang et al., "mixup", 2018)."""
    count = crops.shape[0]
    chosen, order, weight = jax.random.split(key, 3)
    shown = jax.random.uniform(weight, (count, 1, 1, 1), maxval=0.5)
    shown = shown * (jax.random.uniform(chosen, (count, 1, 1, 1)) < share)
    return jnp.round(crops * (1 - shown) + crops[jax.random.permutation(order, count)] * shown)


def _lit(faces: Tensor, draws: Draws) -> Tensor:
    """Mirrored, grey, brighter or darker, with more or less contrast; rounded where Pillow rounds."""
    faces = jnp.where(draws.mirrored[:, None, None, None], faces[:, :, ::-1], faces)
    grey = jnp.floor(faces @ jnp.asarray(_GREY, jnp.float32) + 0.5)
    faces = jnp.where(draws.grey[:, None, None, None], grey[..., None], faces)
    bright = jnp.floor(jnp.clip(faces * draws.light[:, 0, None, None, None], 0, 255))
    mean = jnp.floor(jnp.floor(bright @ jnp.asarray(_GREY, jnp.float32) + 0.5).mean((1, 2)) + 0.5)[:, None, None, None]
    return jnp.floor(jnp.clip(mean + (bright - mean) * draws.light[:, 1, None, None, None], 0, 255))


def _framed(face: Tensor, scale: Tensor, shift: Tensor, bends: Tensor, *, size: int) -> Tensor:
    """One face's square; what lies outside the photo is black."""
    edge = face.shape[0]
    step = edge * TEMPLATE_SIZE / (TEMPLATE_SIZE + 2 * MARGIN) / size / scale
    centres = jnp.arange(size) + 0.5
    bent = _between_knots(bends, size)
    columns = edge / 2 + step * (centres[None, :] - size * (0.5 + shift[0]) + bent[..., 0] * size)
    rows = edge / 2 + step * (centres[:, None] - size * (0.5 + shift[1]) + bent[..., 1] * size)
    inside = (columns >= 0) & (columns < edge) & (rows >= 0) & (rows < edge)
    places = [rows - 0.5, columns - 0.5]
    sampled = jnp.stack(
        [jax.scipy.ndimage.map_coordinates(face[..., colour], places, order=1, mode="nearest") for colour in range(3)],
        axis=-1,
    )
    return jnp.where(inside[..., None], sampled, 0)


def _between_knots(knots: Tensor, size: int) -> Tensor:
    """How far beside its place each pixel of a crop looks, (size, size, 2): evenly between the net's knots.

    Args:
        knots: (k, k, 2) of a net over the crop, whose lines lie on whole pixels.
        size: Edge of the crop, pixels.
    """
    lines = np.linspace(0, size, CELLS + 1).round()
    centres = np.arange(size) + 0.5
    below = np.searchsorted(lines, centres) - 1
    part = ((centres - lines[below]) / (lines[below + 1] - lines[below]))[:, None]
    along = knots[:, below] * (1 - part) + knots[:, below + 1] * part
    part = part[..., None]
    return along[below] * (1 - part) + along[below + 1] * part


def _covered(crops: Tensor, draws: Draws) -> Tensor:
    """A rectangle of one colour over some crops."""
    size = crops.shape[1]
    left, top, width, height = (jnp.floor(draws.cover[:, number, None] * size) for number in range(4))
    places = jnp.arange(size)[None]
    across = (places >= left) & (places < left + width)
    down = (places >= top) & (places < top + height)
    hidden = draws.covered[:, None, None] & down[:, :, None] & across[:, None, :]
    return jnp.where(hidden[..., None], draws.colour[:, None, None, :], crops)
