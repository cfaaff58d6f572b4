"""How far the branch is from what the processor can do: products a second, beside those of large convolutions.

The convolutions, 3 x 3 with 256 channels in and out, have all that makes one fast: whole blocks of channels and no
border. Both are OpenVINO's, in the same precision and the same run.
"""

import argparse
from dataclasses import replace

import numpy as np
from report import interleaved, machine, publish, summary

from twindex.embedder.embedder import Embedder
from twindex.embedder.inference.branch_graph import build_branch
from twindex.embedder.inference.openvino_import import openvino, ops
from twindex.embedder.inference.runtime import compile_network
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.registry import find_model
from twindex.files.user_folders import cache_dir

_CHANNELS, _SIDE, _IMAGES = 256, 14, 32


def large_convolutions(precision: str) -> openvino.Model:
    """Two in a row, so that writing and reading what is between them is part of it."""
    pixels = ops.parameter([_IMAGES, _CHANNELS, _SIDE, _SIDE], np.float32)
    # At most half of the scale, so that two products together fit 16 bits where there are no products of 8-bit numbers.
    kernel = np.random.default_rng(1).uniform(-0.5, 0.5, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32)
    x, weights = pixels, ops.constant(kernel)
    if precision == "int8":
        weights = _rounded(weights, -1.0, 255)
    for _ in range(2):
        x = _rounded(x, 0.0, 256) if precision == "int8" else x
        x = ops.relu(ops.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1]))
    return openvino.Model([ops.reduce_max(x, np.array([1, 2, 3]), keep_dims=False)], [pixels])


def branch(bundle: Bundle) -> openvino.Model:
    """The branch for `_IMAGES` images, to count its products."""
    model = build_branch(bundle.arrays(), bundle.card.input_shape, mirror=bundle.card.mirror)
    model.reshape([_IMAGES, *bundle.card.input_shape])
    return model


def products(model: openvino.Model) -> int:
    """Multiplications of the convolutions and matrix products of a graph whose shapes are known."""
    counts = {"Convolution": lambda kernel: np.prod(kernel[1:]), "MatMul": lambda kernel: kernel[-1]}
    return sum(
        int(np.prod(node.output(0).get_shape()) * counts[kind](node.input(1).get_shape()))
        for node in model.get_ordered_ops()
        if (kind := node.get_type_name()) in counts
    )


def _rounded(x: openvino.Node, low: float, levels: int) -> openvino.Node:
    edges = np.float32(low), np.float32(1.0)
    return ops.fake_quantize(x, *edges, *edges, levels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle, random = find_model(options.model), np.random.default_rng(1)
    images = random.integers(0, 256, (_IMAGES, *bundle.card.input_shape), np.uint8)
    blocks = random.random((_IMAGES, _CHANNELS, _SIDE, _SIDE), np.float32)
    in_branch, in_large = products(branch(bundle)), products(large_convolutions("float32"))
    contestants, work = {}, {}
    for precision in ("float32", "int8"):
        network = compile_network(large_convolutions(precision))
        ours = Embedder(replace(bundle, card=bundle.card.with_precision(precision)), cache=cache_dir())
        large, own = f"large convolutions, {precision}", f"branch, {precision}"
        contestants[large], work[large] = lambda network=network: network(blocks), in_large
        contestants[own], work[own] = lambda ours=ours: ours.embed_inputs(images), in_branch
    rows = [
        {
            "network": name,
            **(figures := summary(times)),
            "10^9 products/s": round(work[name] / 1e6 / figures["median_ms"]),
        }
        for name, times in interleaved(contestants, options.rounds).items()
    ]
    processor = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    publish("Ceiling", {**machine("openvino"), "processor": processor}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
