"""What encryption costs: enrolling, opening and searching the same gallery of drawn templates, plain and encrypted.

python benchmarks/encryption.py --references 20000
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from report import interleaved, machine, publish, summary

from twindex.config import DATABASE
from twindex.encryption.keys import GalleryKey
from twindex.gallery import Gallery
from twindex.gallery.search.candidates import best_subjects
from twindex.gallery.search.searchable import SearchableGeneration
from twindex.scoring import Head
from twindex.storage import EnrolmentRequest, Store
from twindex.types import Float32, Sample

DIM = 128
BATCH = 64  # as a batch enrolment commits
CROP_BYTES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=20_000)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="of opening")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    templates = _unit(random.standard_normal((options.references, DIM), np.float32))
    probes = _unit(templates[: options.searches] + 0.02 * random.standard_normal((options.searches, DIM), np.float32))
    keys = {
        "plain": None,
        "random key": GalleryKey(os.urandom(32).hex().encode(), "the benchmark"),
        "passphrase": GalleryKey(b"correct horse battery staple", "the benchmark"),
    }
    with tempfile.TemporaryDirectory() as root:
        folders = {name: Path(root) / name for name in keys}
        rows = [_row(name, folders[name], key, templates, probes, options.seed) for name, key in keys.items()]
        opening: dict[str, Callable[[], object]] = {
            name: lambda name=name: _opened(folders[name], keys[name]) for name in keys
        }
        for row, seconds in zip(rows, interleaved(opening, options.rounds).values(), strict=True):
            row["open the index, ms (IQR)"] = "{median_ms:.1f} ({iqr_ms:.1f})".format(**summary(seconds))
    about = {
        **machine("sqlalchemy", "faiss-cpu", "sqlcipher3", "cryptography"),
        "references": options.references,
        "dim": DIM,
        "crop bytes": CROP_BYTES,
        "threads": faiss.omp_get_max_threads(),
        "searches": options.searches,
        "seed": options.seed,
    }
    publish("Encryption", about, rows, as_json=options.json)


def _row(
    name: str, folder: Path, key: GalleryKey | None, templates: Float32, probes: Float32, seed: int
) -> dict[str, Any]:
    with Gallery.create(folder, key=key) as gallery:
        active = gallery.active()
        started, worked = time.perf_counter(), time.process_time()
        for first in range(0, len(templates), BATCH):
            requests = [
                EnrolmentRequest(_sample(first + place, seed), f"subject {first + place}", template)
                for place, template in enumerate(templates[first : first + BATCH])
            ]
            gallery.store.references.enroll_many(requests, active.fingerprint)
        rate = len(templates) / (time.perf_counter() - started)
        work = (time.process_time() - worked) / len(templates)
        searchable = SearchableGeneration(gallery.store, gallery.snapshots, active, DIM)
        snapshot = searchable.compact()
        seconds, right, worked = [], 0, time.process_time()
        for number, probe in enumerate(probes):
            started = time.perf_counter()
            best = best_subjects(gallery.store, searchable, probe, Head(-8.0, 8.0), 5)
            seconds.append(time.perf_counter() - started)
            right += best[0].subject == f"subject {number}"
        search_work = (time.process_time() - worked) / len(probes)
        p50, p99 = 1e3 * np.quantile(seconds, [0.5, 0.99])
    return {
        "gallery": name,
        "enrolled a second": round(rate),
        "processor time each, ms": round(1e3 * work, 2),
        "search p50, p99, ms": f"{p50:.2f}, {p99:.2f}",
        "of it processor time, mean, ms": round(1e3 * search_work, 2),
        "rank-1": f"{right / len(probes):.3f}",
        "database MB": round((folder / DATABASE).stat().st_size / 1e6, 1),
        "index file MB": round(snapshot.length / 1e6, 1),
    }


def _opened(folder: Path, key: GalleryKey | None) -> int:
    """Database, key and snapshot, as a query opens them."""
    with Store.open(folder / DATABASE, read_only=True, key=key) as store:
        active = store.generations.active()
        if active is None:
            raise SystemExit("the gallery has no index")
        return SearchableGeneration(store, folder / "index", active, DIM).count


def _sample(number: int, seed: int) -> Sample:
    crop = np.random.default_rng([seed, number]).bytes(CROP_BYTES)
    return Sample(f"{number:064x}", "photo.jpg", 0, None, 50.0, crop)


def _unit(vectors: Float32) -> Float32:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
