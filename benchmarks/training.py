"""Images a second of training, photos read and varied on the way, against a bare step on constant data, with memory.

python benchmarks/training.py FACES --recipe recipes/twindex-112.toml
python benchmarks/training.py FACES --input-size 160 --frozen 5          # the stem kept as it is
"""

import argparse
import os
import resource
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
from report import interleaved, machine, publish, summary

from twindex.embedder.training.batches import training_batches
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.recipe.recipe import read_recipe
from twindex.embedder.training.run import TrainingRun
from twindex.extras import extra

with extra("train"):
    import keras

    from twindex.embedder.training.loop import fastest_precision
    from twindex.embedder.training.twin.fused_norm import with_fused_norms
    from twindex.embedder.training.twin.learner import build_learner
    from twindex.embedder.training.twin.network import build_branch, build_head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="aligned faces, one sub-folder per subject")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/twindex-112.toml"))
    parser.add_argument("--stage", type=int, default=-1, help="number of the recipe's stage")
    parser.add_argument("--input-size", type=int, help="another size than the recipe's")
    parser.add_argument("--frozen", type=int, help="convolutions kept as they are, where not as many as the stage says")
    parser.add_argument("--teacher", type=Path, help="of a stage whose teacher sees the varied photos")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=10, help="in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = read_recipe(options.recipe)
    size = options.input_size or recipe.input_size
    stage = replace(recipe.stages[options.stage], steps=10_000, input_size=size)
    if options.frozen is not None:
        stage = replace(stage, frozen=options.frozen)
    recipe, faces = replace(recipe, stages=(stage,)), TrainingFaces.scan(options.faces)
    run = TrainingRun(faces, recipe, Path(tempfile.gettempdir()), options.teacher)
    precision = fastest_precision() if recipe.precision == "auto" else recipe.precision
    keras.config.set_dtype_policy(precision)
    branch, head = with_fused_norms(build_branch((size, size, 3), recipe.dim)), build_head()
    head.build((None, 1))
    learner = build_learner(branch, head, stage)
    targets = np.random.default_rng(recipe.seed).normal(size=(len(run.faces.paths), recipe.dim)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    batches = training_batches(run, 0, targets, 0)
    constant = next(batches)

    def bare() -> None:
        for _ in range(options.steps):
            learner.train_on_batch(*constant)

    def training() -> None:
        for _ in range(options.steps):
            learner.train_on_batch(*next(batches))

    times = {
        name: summary(seconds)
        for name, seconds in interleaved({"constant data": bare, "training": training}, options.rounds).items()
    }
    images = options.steps * stage.batch_size
    rows = [
        {
            "input": name,
            **figures,
            "images/s": round(1e3 * images / figures["median_ms"], 1),
            "ratio": round(times["constant data"]["median_ms"] / figures["median_ms"], 3),
        }
        for name, figures in times.items()
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    about = {**machine("keras", keras.backend.backend()), "size": size, "batch": stage.batch_size}
    about |= {"frozen": stage.frozen, "peak_mib": memory}
    publish("Training", {**about, "precision": precision, "seed": recipe.seed}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
