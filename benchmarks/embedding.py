"""Images a second of the compiled branch in each precision, against Keras, ONNX Runtime and plain OpenVINO.

All on the same weights and images, mirror images included where the model has them, with the largest distance that any
template moves from Keras' float32.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from report import interleaved, machine, publish, summary

from twindex.embedder.embedder import Embedder
from twindex.embedder.inference.branch_graph import build_branch as openvino_branch
from twindex.embedder.inference.openvino_import import openvino
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.card import PRECISIONS
from twindex.embedder.model.registry import find_model
from twindex.extras import extra
from twindex.files.user_folders import cache_dir
from twindex.types import Float32, UInt8

with extra("bench"):
    import onnxruntime
    from onnx_branch import onnx_branch

    from twindex.embedder.training.twin.network import assign_arrays, build_branch

Embed = Callable[[], Float32]


def keras_predict(bundle: Bundle, images: UInt8) -> Embed:
    """Keras' predict, float32."""
    branch = build_branch(bundle.card.input_shape, bundle.card.dim)
    assign_arrays(branch, bundle.arrays())
    return _with_mirror(bundle, images.astype(np.float32), lambda one: branch.predict(one, len(one), verbose=0), axis=2)


def onnx_runtime(bundle: Bundle, images: UInt8) -> Embed:
    """ONNX Runtime, float32."""
    network = onnx_branch(bundle.arrays(), bundle.card.input_shape[0])
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    scaled = np.ascontiguousarray((images.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))
    return _with_mirror(bundle, scaled, lambda one: session.run(None, {"pixels": one})[0], axis=3)


def plain_openvino(bundle: Bundle, images: UInt8, precision: str) -> Embed:
    """The same graph, given to OpenVINO with its own settings for throughput, all images at once."""
    card = bundle.card
    ranges = card.activation_ranges if precision == "int8" else None
    model = openvino_branch(bundle.arrays(), card.input_shape, mirror=card.mirror, ranges=ranges)
    hints = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }
    compiled = openvino.Core().compile_model(model, "CPU", hints)
    requests = openvino.AsyncInferQueue(compiled)
    parts = [images[start : start + 16] for start in range(0, len(images), 16)]
    templates: dict[int, Float32] = {}
    requests.set_callback(lambda request, place: templates.__setitem__(place, request.get_output_tensor().data.copy()))

    def embed() -> Float32:
        for place, part in enumerate(parts):
            requests.start_async({0: part}, place)
        requests.wait_all()
        return np.concatenate([templates[place] for place in range(len(parts))])

    return embed


def _with_mirror(bundle: Bundle, images: Float32, embed: Callable[[Float32], Float32], axis: int) -> Embed:
    mirrored = np.ascontiguousarray(np.flip(images, axis))

    def both() -> Float32:
        templates = embed(images) + embed(mirrored) if bundle.card.mirror else embed(images)
        return (templates / np.linalg.norm(templates, axis=1, keepdims=True)).astype(np.float32)

    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--input-size", type=int, help="the model's weights at another size, for its speed")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle = find_model(options.model)
    if options.input_size:
        shape = (options.input_size, options.input_size, 3)
        bundle = replace(bundle, card=replace(bundle.card, input_shape=shape))
    shape = bundle.card.input_shape
    images = np.random.default_rng(options.seed).integers(0, 256, (options.batch, *shape), np.uint8)
    precisions = [one for one in PRECISIONS if one != "int8" or bundle.card.activation_ranges]
    contestants: dict[str, Embed] = {
        "Keras predict, float32": keras_predict(bundle, images),
        "ONNX Runtime, float32": onnx_runtime(bundle, images),
    }
    for precision in precisions:
        ours = Embedder(replace(bundle, card=bundle.card.with_precision(precision)), cache=cache_dir())
        contestants[f"plain OpenVINO, {precision}"] = plain_openvino(bundle, images, precision)
        contestants[f"Twindex, {precision}"] = lambda ours=ours: ours.embed_inputs(images)
    exact = contestants["Keras predict, float32"]()
    apart = {name: np.linalg.norm(embed() - exact, axis=1).max() for name, embed in contestants.items()}
    seconds = {name: summary(times) for name, times in interleaved(contestants, options.rounds).items()}
    baseline = seconds["Keras predict, float32"]["median_ms"]
    rows = [
        {
            "embedder": name,
            **figures,
            "images/s": round(1e3 * options.batch / figures["median_ms"], 1),
            "ratio to Keras": round(baseline / figures["median_ms"], 2),
            "largest distance": f"{apart[name]:.1e}",
        }
        for name, figures in seconds.items()
    ]
    about = {**machine("keras", "tensorflow", "openvino", "onnxruntime"), "input": "x".join(map(str, shape))}
    about |= {"batch": options.batch, "mirror": bundle.card.mirror, "seed": options.seed}
    publish("Embedding", about, rows, as_json=options.json)


if __name__ == "__main__":
    main()
