"""Accuracy of one model in each precision, on the same pairs of photos, read and aligned once.

python benchmarks/precisions.py lfw/pairs.txt --images lfw
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from report import machine, publish

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.card import PRECISIONS
from twindex.embedder.model.registry import find_model
from twindex.evaluation.capture import capture
from twindex.evaluation.metrics.verification import PairScores, fnmr_at_fmr, fold_accuracies
from twindex.evaluation.pairs import photos_of
from twindex.evaluation.pairs_file import read_pairs
from twindex.files.user_folders import cache_dir
from twindex.types import Float32, Sample


class Several:
    """Embedders side by side: the templates of each, next to one another."""

    def __init__(self, embedders: list[Embedder]) -> None:
        self._embedders = embedders
        self.dim = sum(one.dim for one in embedders)

    def embed_samples(self, samples: Sequence[Sample]) -> Float32:
        return np.concatenate([embedder.embed_samples(samples) for embedder in self._embedders], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle, pairs = find_model(options.model), read_pairs(options.pairs, options.images)
    precisions = [one for one in PRECISIONS if one != "int8" or bundle.card.activation_ranges]
    embedders = [
        Embedder(replace(bundle, card=bundle.card.with_precision(one)), cache=cache_dir()) for one in precisions
    ]
    captured = capture(photos_of(pairs), FaceReader(), Several(embedders), lambda _: None)
    place = {path: number for number, path in enumerate(captured.paths)}
    first = np.array([place[pair.first] for pair in pairs])
    second = np.array([place[pair.second] for pair in pairs])
    mated, folds = np.array([pair.mated for pair in pairs]), np.array([pair.fold for pair in pairs], np.int64)
    usable = captured.usable[first] & captured.usable[second]
    rows, exact = [], None
    for precision, templates in zip(precisions, np.split(captured.templates, len(precisions), axis=1), strict=True):
        exact = templates if exact is None else exact
        apart = np.linalg.norm(templates[first].astype(np.float64) - templates[second], axis=1)
        scores = PairScores(np.where(usable, apart, np.inf), mated, folds)
        accuracies = fold_accuracies(scores)
        rows.append(
            {
                "precision": precision,
                "accuracy": f"{100 * accuracies.mean():.2f} %",
                "FNMR at FMR 1 %": f"{100 * fnmr_at_fmr(scores, 0.01):.2f} %",
                "FNMR at FMR 0.1 %": f"{100 * fnmr_at_fmr(scores, 0.001):.2f} %",
                "moved from float32, mean": f"{np.linalg.norm(templates - exact, axis=1).mean():.4f}",
            }
        )
    about = {**machine("openvino"), "model": bundle.card.fingerprint[:12], "pairs": len(pairs)}
    publish("Precisions", about, rows, as_json=options.json)


if __name__ == "__main__":
    main()
