"""A large gallery through the whole service: building, opening and searching it, and re-indexing while it answers.

python benchmarks/big_gallery.py FOLDER --references 1000000
python benchmarks/gallery.py FOLDER
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from likeness import Likeness
from report import machine, publish

from twindex.gallery.search.candidates import best_subjects
from twindex.gallery.service import Gallery
from twindex.jobs.reindex import reindex
from twindex.types import Float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the gallery")
    parser.add_argument("--index", default="auto")
    parser.add_argument("--then", default="", help="another index type, to move to while searches go on")
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="that the gallery was drawn with")
    parser.add_argument("--per-subject", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with Gallery.open(options.folder) as gallery:
        report = reindex(gallery, None, options.index, lambda *_: None)
        rows.append({"what": f"build {report.index}, check and flip", "value": f"{report.seconds:.1f} s"})
    with Gallery.open(options.folder) as gallery:
        started = time.perf_counter()
        searchable = gallery.searchable()
        rows.append({"what": "open the index", "value": f"{time.perf_counter() - started:.3f} s"})
        snapshot = gallery.active().snapshot
        if snapshot is not None:
            rows.append({"what": "index file", "value": f"{snapshot.length / 1e6:.0f} MB"})
            rows.append({"what": "measured when built", "value": str(snapshot.recall)})
        probes = _probes(options.searches, options.per_subject, options.seed)
        _search(gallery, probes[:50])
        idle = _search(gallery, probes)
        rows += _times("idle", idle)
        hits = _index_only(gallery, probes)
        rows.append({"what": "of it, the index alone, p50", "value": f"{1e3 * np.median(hits):.2f} ms"})
        if options.then:
            rows += _while_reindexing(options, gallery, probes, idle)
        count = searchable.count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    about = {**machine("faiss-cpu", "sqlalchemy"), "references": count, "searches": options.searches}
    publish(
        "Gallery",
        {**about, "dim": probes.shape[1], "seed": options.seed, "peak MB": round(peak)},
        rows,
        as_json=options.json,
    )


def _probes(count: int, per_subject: int, seed: int) -> Float32:
    """Templates of enrolled subjects, moved as far as two templates of one face are apart: a second photo."""
    likeness = Likeness.load()
    enrolled = next(likeness.draw(count, per_subject, seed))
    random = np.random.default_rng(seed + 1)
    reach = np.sqrt(1 + likeness.reaches(len(enrolled), random) ** 2)
    around = random.standard_normal(enrolled.shape, np.float32) @ likeness.within
    moved = enrolled + around * reach[:, None]
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def _search(gallery: Gallery, probes: Float32) -> list[float]:
    """Seconds of each search, from template to candidate list and threshold, as a query makes it."""
    fingerprint = gallery.active().fingerprint
    card = gallery.embedder(fingerprint).card
    head = card.head
    seconds = []
    for probe in probes:
        started = time.perf_counter()
        gallery.threshold(fingerprint)
        best_subjects(gallery.store, gallery.searchable(), probe, head, 5)
        seconds.append(time.perf_counter() - started)
    return seconds


def _index_only(gallery: Gallery, probes: Float32) -> list[float]:
    searchable, seconds = gallery.searchable(), []
    for probe in probes:
        started = time.perf_counter()
        searchable.search(probe[None], searchable.candidates)
        seconds.append(time.perf_counter() - started)
    return seconds


def _while_reindexing(
    options: argparse.Namespace, gallery: Gallery, probes: Float32, idle: list[float]
) -> list[dict[str, Any]]:
    """Searches in this process while another one re-indexes."""
    command = ["-m", "twindex", "--gallery", str(options.folder), "--json", "reindex", "--index", options.then]
    seconds: list[float] = []
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE) as job:
        while job.poll() is None:
            seconds += _search(gallery, probes[:20])
        report = json.loads(job.communicate()[0])
    ratio = np.quantile(seconds, 0.99) / np.quantile(idle, 0.99)
    return [
        {"what": f"re-index to {report['index']}", "value": f"{report['seconds']:.1f} s"},
        *_times("while re-indexing", seconds),
        {"what": "p99 while re-indexing, idle p99s", "value": f"{ratio:.1f}"},
    ]


def _times(when: str, seconds: list[float]) -> list[dict[str, Any]]:
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return [{"what": f"search, {when}: p50, p99 ({len(seconds)})", "value": f"{1e3 * p50:.2f}, {1e3 * p99:.2f} ms"}]


if __name__ == "__main__":
    main()
