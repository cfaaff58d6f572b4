"""InceptionV3 as plain data: which convolution reads what, in the order in which Keras creates them.

Architecture: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
Computer Vision", CVPR 2016, as in `keras.applications.InceptionV3` without its top.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

BATCH_NORM_EPSILON = 1e-3
SMALLEST_SIDE = 75
CHANNELS = 2048


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, then normalisation without a learned scale, then ReLU.

    Attributes:
        filters: Number of output channels.
        rows, columns: Size of the kernel.
        stride: In both directions.
        padding: "same" keeps the size (only with stride 1), "valid" adds nothing.
    """

    filters: int
    rows: int = 1
    columns: int = 1
    stride: int = 1
    padding: Literal["same", "valid"] = "same"


@dataclass(frozen=True)
class Pool:
    """A 3 x 3 pooling: "max" has stride 2 and no padding; "average" has stride 1, and its padding does not count."""

    kind: Literal["max", "average"]


@dataclass(frozen=True)
class Parallel:
    """Paths that read the same input; their outputs are concatenated along the channels."""

    paths: "tuple[Path, ...]"


Step = Conv | Pool | Parallel
Path = tuple[Step, ...]


def inception_v3() -> Path:
    """The whole network: 94 convolutions from an image's 3 channels to 2048."""
    return (
        *_STEM,
        *map(_block_35, (32, 64, 64)),
        _REDUCTION_17,
        *map(_block_17, (128, 160, 160, 192)),
        _REDUCTION_8,
        _BLOCK_8,
        _BLOCK_8,
    )


_MAX = Pool("max")
_AVERAGE = Pool("average")

_STEM: Path = (
    Conv(32, 3, 3, stride=2, padding="valid"),
    Conv(32, 3, 3, padding="valid"),
    Conv(64, 3, 3),
    _MAX,
    Conv(80, padding="valid"),
    Conv(192, 3, 3, padding="valid"),
    _MAX,
)


def _block_35(pooled: int) -> Parallel:
    """`mixed0` to `mixed2`: 35 x 35 for a photo of 299 x 299."""
    return Parallel(
        (
            (Conv(64),),
            (Conv(48), Conv(64, 5, 5)),
            (Conv(64), Conv(96, 3, 3), Conv(96, 3, 3)),
            (_AVERAGE, Conv(pooled)),
        )
    )


_REDUCTION_17 = Parallel(
    (
        (Conv(384, 3, 3, stride=2, padding="valid"),),
        (Conv(64), Conv(96, 3, 3), Conv(96, 3, 3, stride=2, padding="valid")),
        (_MAX,),
    )
)


def _block_17(inner: int) -> Parallel:
    """`mixed4` to `mixed7`: 17 x 17 for a photo of 299 x 299."""
    return Parallel(
        (
            (Conv(192),),
            (Conv(inner), Conv(inner, 1, 7), Conv(192, 7, 1)),
            (Conv(inner), Conv(inner, 7, 1), Conv(inner, 1, 7), Conv(inner, 7, 1), Conv(192, 1, 7)),
            (_AVERAGE, Conv(192)),
        )
    )


_REDUCTION_8 = Parallel(
    (
        (Conv(192), Conv(320, 3, 3, stride=2, padding="valid")),
        (Conv(192), Conv(192, 1, 7), Conv(192, 7, 1), Conv(192, 3, 3, stride=2, padding="valid")),
        (_MAX,),
    )
)

_SPREAD = Parallel(((Conv(384, 1, 3),), (Conv(384, 3, 1),)))

_BLOCK_8 = Parallel(
    (
        (Conv(320),),
        (Conv(384), _SPREAD),
        (Conv(448), Conv(384, 3, 3), _SPREAD),
        (_AVERAGE, Conv(192)),
    )
)


def array_shapes(dim: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of a branch.

    Args:
        dim: Length of the template.

    Returns:
        For each convolution `conv_<number>/` kernel (rows, columns, in, out), beta, mean and variance (out,), numbered
        from 00 in creation order; then `projection/kernel` (2048, dim) and `projection/bias` (dim,).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (conv, channels) in enumerate(_readers(inception_v3(), 3)):
        shapes[f"conv_{number:02d}/kernel"] = (conv.rows, conv.columns, channels, conv.filters)
        for name in ("beta", "mean", "variance"):
            shapes[f"conv_{number:02d}/{name}"] = (conv.filters,)
    return {**shapes, "projection/kernel": (CHANNELS, dim), "projection/bias": (dim,)}


def kernel_shapes() -> list[tuple[int, ...]]:
    """Shape of each convolution's kernel, (rows, columns, in, out), in creation order."""
    return [(conv.rows, conv.columns, channels, conv.filters) for conv, channels in _readers(inception_v3(), 3)]


def activations() -> tuple[int, ...]:
    """Which activations of the network need the same range in 8 bits.

    Returns:
        For each convolution and each average pooling, in creation order, the number of its output's group. Activations
        that are concatenated belong to one group.
    """
    groups: list[int] = []
    _group(inception_v3(), set(), groups)
    return tuple(groups)


def _group(path: Path, sources: set[int], groups: list[int]) -> set[int]:
    """Number the activations of a path that reads the groups `sources`; returns the groups of its output."""
    for step in path:
        if isinstance(step, Parallel):
            joined = set().union(*(_group(inner, sources, groups) for inner in step.paths))
            first = min(joined)
            groups[:] = [first if group in joined else group for group in groups]
            sources = {first}
        elif isinstance(step, Conv) or step.kind == "average":
            sources = {len(groups)}
            groups.append(len(groups))
    return sources


def _readers(path: Path, channels: int) -> Iterator[tuple[Conv, int]]:
    """Each convolution of a path with the number of channels it reads."""
    for step in path:
        if isinstance(step, Conv):
            yield step, channels
        elif isinstance(step, Parallel):
            for inner in step.paths:
                yield from _readers(inner, channels)
        channels = _channels(step, channels)


def _channels(step: Step, channels: int) -> int:
    """Number of channels after a step."""
    if isinstance(step, Conv):
        return step.filters
    if isinstance(step, Pool):
        return channels
    total = 0
    for path in step.paths:
        last = channels
        for inner in path:
            last = _channels(inner, last)
        total += last
    return total
