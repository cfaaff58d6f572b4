"""Images a second of the compiled branch against Keras' own predict, on the same weights, with their difference."""

import argparse
import os
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from report import interleaved, machine, publish, summary

from twindex.embedder.embedder import Embedder
from twindex.embedder.network import assign_arrays, build_branch
from twindex.embedder.registry import cache_dir, find_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
    branch = build_branch(shape, bundle.card.dim)
    assign_arrays(branch, bundle.arrays())
    pixels = images.astype(np.float32)
    mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
    compiled = Embedder(bundle, cache=cache_dir())

    def keras_predict() -> np.ndarray:
        templates = branch.predict(pixels, batch_size=options.batch, verbose=0)
        if bundle.card.mirror:
            templates = templates + branch.predict(mirrored, batch_size=options.batch, verbose=0)
        return templates / np.linalg.norm(templates, axis=1, keepdims=True)

    difference = float(np.abs(keras_predict() - compiled.embed_inputs(images)).max())
    contestants = {"Keras predict": keras_predict, "twindex": lambda: compiled.embed_inputs(images)}
    seconds = {name: summary(times) for name, times in interleaved(contestants, options.rounds).items()}
    baseline = seconds["Keras predict"]["median_ms"]
    rows = [
        {
            "embedder": name,
            **figures,
            "images/s": round(1e3 * options.batch / figures["median_ms"], 1),
            "ratio": round(baseline / figures["median_ms"], 2),
            "largest difference": 0.0 if name == "Keras predict" else f"{difference:.1e}",
        }
        for name, figures in seconds.items()
    ]
    about = {**machine("keras", "tensorflow", "openvino"), "input": "x".join(map(str, shape)), "batch": options.batch}
    publish("Embedding", {**about, "mirror": bundle.card.mirror, "seed": options.seed}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
