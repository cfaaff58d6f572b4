"""Milliseconds a search, size, time to build and share of exact rank-1 kept, by index and number of references.

    python benchmarks/search.py --count 10000 100000 1000000

Templates are drawn as real ones are spread (likeness.py): each subject enrolled once, searched by another template of a
thousand of them. Twindex's index brings candidates, whose exact distances decide; the others answer as they are.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from likeness import Likeness
from report import interleaved, machine, publish, summary

from twindex.config import CANDIDATES
from twindex.extras import extra
from twindex.gallery.search.recall import UNMEASURED, exact_nearest
from twindex.index.choice import AUTO, chosen_spec
from twindex.index.faiss_index import FaissIndex
from twindex.types import Float32, Int64

with extra("bench"):
    import hnswlib
    from usearch.index import Index as UsearchIndex

_BLOCK = 50_000
_TRAINED = 65_536  # references that a plain structure is trained on


@dataclass(frozen=True)
class Built:
    """An index that answers with the nearest reference of a probe, (dim,) float32; its bytes and seconds to build."""

    nearest: Callable[[Float32], int]
    size: int
    seconds: float


def twindex(text: str, templates: Float32, numbers: list[int]) -> dict[str, Built]:
    """Our index, its candidates compared exactly, by how many they are."""
    count, dim = templates.shape
    started = time.perf_counter()
    index = FaissIndex.build(chosen_spec(text, count, dim), dim, lambda: _batches(templates), count)
    seconds = time.perf_counter() - started
    size = len(index.serialize())
    if index.is_exhaustive:
        numbers = numbers[:1]

    def candidates(probe: Float32, number: int) -> Int64:
        return index.search(probe[None], number).references[0]

    return {
        f"Twindex {index.spec.text}, {number} candidates": Built(
            lambda probe, number=number: _compared(probe, candidates(probe, number), templates), size, seconds
        )
        for number in numbers
    }


def plain_structure(text: str, templates: Float32, number: int) -> Built:
    """The same structure as FAISS makes it, which scans it with one core for one probe; candidates compared exactly."""
    started = time.perf_counter()
    index = faiss.index_factory(templates.shape[1], text)
    index.train(templates[:: max(1, len(templates) // _TRAINED)])
    index.add(templates)
    seconds = time.perf_counter() - started
    return Built(
        lambda probe: _compared(probe, index.search(probe[None], number)[1][0], templates),
        len(faiss.serialize_index(index)),
        seconds,
    )


def _compared(probe: Float32, candidates: Int64, templates: Float32) -> int:
    """The nearest of the candidates by exact distance."""
    return int(candidates[np.square(templates[candidates] - probe).sum(axis=1).argmin()])


def plain_faiss(templates: Float32) -> Built:
    """IndexFlatL2: exact."""
    started = time.perf_counter()
    index = faiss.IndexFlatL2(templates.shape[1])
    index.add(templates)
    seconds = time.perf_counter() - started
    return Built(lambda probe: int(index.search(probe[None], 1)[1][0, 0]), templates.nbytes, seconds)


def plain_hnswlib(templates: Float32) -> Built:
    """hnswlib as its README has it, M = 16, ef_construction = 200, ef = 100."""
    count, dim = templates.shape
    started = time.perf_counter()
    index = hnswlib.Index(space="l2", dim=dim)
    index.init_index(max_elements=count, ef_construction=200, M=16)
    index.add_items(templates)
    index.set_ef(CANDIDATES)
    seconds = time.perf_counter() - started
    return Built(lambda probe: int(index.knn_query(probe[None], k=1)[0][0, 0]), index.index_file_size(), seconds)


def plain_usearch(templates: Float32) -> Built:
    """usearch with its defaults, float32."""
    started = time.perf_counter()
    index = UsearchIndex(ndim=templates.shape[1], metric="l2sq", dtype="f32")
    index.add(np.arange(len(templates), dtype=np.uint64), templates)
    seconds = time.perf_counter() - started
    return Built(lambda probe: int(index.search(probe, 1).keys[0]), int(index.memory_usage), seconds)


def drawn(count: int, probes: int, seed: int) -> tuple[Float32, Float32]:
    """The enrolled template of each subject, and another one of the first `probes` of them."""
    likeness = Likeness.load()
    enrolled = np.empty((count, len(likeness.mean)), np.float32)
    searched: list[Float32] = []
    done = 0
    for block in likeness.draw(2 * count, 2, seed):
        pairs = block.reshape(-1, 2, block.shape[1])
        enrolled[done : done + len(pairs)] = pairs[:, 0]
        searched.append(pairs[: max(0, probes - done), 1].copy())
        done += len(pairs)
    return enrolled, np.concatenate(searched)


def measured(count: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each index over so many references."""
    templates, probes = drawn(count, options.probes, options.seed)
    exact = exact_nearest(probes, _batches(templates))
    built: dict[str, Built] = {}
    for text in dict.fromkeys([AUTO, *options.index]):
        built |= twindex(text, templates, options.candidates)
    makers: dict[str, Callable[[Float32], Built]] = {"FAISS Flat": plain_faiss}
    if count <= options.graphs_up_to:
        makers |= {"hnswlib": plain_hnswlib, "usearch": plain_usearch}
    built |= {name: make(templates) for name, make in makers.items()}
    if (spec := chosen_spec(AUTO, *templates.shape)).text != "Flat":
        number = options.candidates[0]
        built[f"FAISS {spec.text}, {number} candidates"] = plain_structure(spec.text, templates, number)
    timed = probes[: options.timed]
    seconds = interleaved(
        {name: lambda one=one: [one.nearest(probe) for probe in timed] for name, one in built.items()}, options.rounds
    )
    baseline = summary([taken / len(timed) for taken in seconds["FAISS Flat"]])["median_ms"]
    rows = []
    for name, one in built.items():
        figures = summary([taken / len(timed) for taken in seconds[name]])
        kept = np.array([one.nearest(probe) for probe in probes]) == exact
        right = exact == np.arange(len(probes))  # the probe's own subject
        rows.append(
            {
                "N": count,
                "index": name,
                **figures,
                "ratio to FAISS Flat": round(baseline / figures["median_ms"], 2),
                "rank-1 kept": f"{100 * kept.mean():.1f} %",
                "right answers kept": f"{100 * kept[right].mean():.1f} %",
                "bytes a reference": round(one.size / count),
                "build_s": round(one.seconds, 2),
            }
        )
    return rows


def _batches(templates: Float32) -> Iterator[tuple[Int64, Float32]]:
    for start in range(0, len(templates), _BLOCK):
        block = templates[start : start + _BLOCK]
        yield np.arange(start, start + len(block), dtype=np.int64), block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--index", nargs="*", default=[], help="more of ours, besides auto")
    parser.add_argument("--candidates", type=int, nargs="+", default=[CANDIDATES, UNMEASURED])
    parser.add_argument("--graphs-up-to", type=int, default=100_000, help="graphs take minutes to build beyond")
    parser.add_argument("--probes", type=int, default=1_000)
    parser.add_argument("--timed", type=int, default=50, help="probes of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for count in options.count for row in measured(count, options)]
    about = {**machine("faiss-cpu", "hnswlib", "usearch"), "threads": faiss.omp_get_max_threads()}
    about |= {"dim": len(Likeness.load().mean), "probes": options.probes}
    publish("Search", {**about, "seed": options.seed}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
