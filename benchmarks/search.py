"""Milliseconds a search of each index type against exact NumPy search, with the share of exact rank-1 kept."""

import argparse
from collections.abc import Iterator

import numpy as np
from report import interleaved, machine, publish, summary

from twindex.config import CANDIDATES
from twindex.index.exact import ExactIndex
from twindex.index.faiss_index import FaissIndex
from twindex.index.spec import parse_spec
from twindex.types import Float32, Int64


def templates(count: int, dim: int, seed: int) -> Float32:
    """Unit-length templates of subjects with four references each, scattered around their mean."""
    random = np.random.default_rng(seed)
    means = np.repeat(random.normal(size=(count // 4 + 1, dim)), 4, axis=0)[:count]
    drawn = means + 0.5 * random.normal(size=means.shape)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--probes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--index", nargs="*", default=["flat", "hnsw", "ivf", "sq8", "PQ64x4fs"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    vectors = templates(options.count + options.probes, options.dim, options.seed)
    gallery, probes = vectors[: options.count], vectors[options.count :]
    references: Int64 = np.arange(options.count, dtype=np.int64)

    def batches() -> Iterator[tuple[Int64, Float32]]:
        for start in range(0, options.count, 10_000):
            yield references[start : start + 10_000], gallery[start : start + 10_000]

    exact = ExactIndex(options.dim)
    exact.add(references, gallery)
    nearest = exact.search(probes, 1).references[:, 0]
    indexes: dict[str, ExactIndex | FaissIndex] = {"exact NumPy": exact}
    for text in options.index:
        spec = parse_spec(text, options.count)
        indexes[spec.text] = FaissIndex.build(spec, options.dim, batches, options.count)
    one_by_one = {
        name: lambda index=index: [index.search(probe[None], CANDIDATES) for probe in probes]
        for name, index in indexes.items()
    }
    seconds = interleaved(one_by_one, options.rounds)
    rows = []
    for name, index in indexes.items():
        found = index.search(probes, CANDIDATES).references
        kept = np.mean([one in row for one, row in zip(nearest, found, strict=True)])
        figures = summary([taken / options.probes for taken in seconds[name]])
        size = len(index.serialize()) if isinstance(index, FaissIndex) else gallery.nbytes
        rows.append({"index": name, **figures, "rank-1 kept": f"{100 * kept:.1f} %", "MB": round(size / 1e6, 1)})
    about = {**machine("faiss-cpu"), "N": options.count, "dim": options.dim, "candidates": CANDIDATES}
    publish("Search", {**about, "probes": options.probes, "seed": options.seed}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
