"""Seconds and peak memory of `twindex query` from a cold process, over a gallery given on the command line."""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

from report import machine, publish, summary

from twindex.gallery.service import Gallery

_ANSWERED = (0, 1)  # exit statuses of a query that found somebody, or nobody


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "twindex",
        "--gallery",
        str(options.gallery),
        "--json",
        "query",
        str(options.photo),
    ]
    seconds = []
    for round_number in range(options.rounds + 1):
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in _ANSWERED:
            raise SystemExit(f"The query failed ({done.returncode}), so there is nothing to measure: {done.stderr}")
        if round_number:
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = [{"command": "twindex query", **summary(seconds), "peak MB": round(peak)}]
    with Gallery.open(options.gallery, read_only=True) as gallery:
        about = {
            "references": gallery.searchable().count,
            "dim": gallery.embedder(gallery.active().fingerprint).card.dim,
            "rounds": options.rounds,
        }
    publish("Cold query", {**machine("openvino", "faiss-cpu", "sqlalchemy"), **about}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
