"""How a benchmark measures and prints: interleaved rounds, median and spread, versions beside the figures."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any


def interleaved(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; the contestants take turns, after one unmeasured turn each."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and interquartile range, milliseconds."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {"median_ms": round(1e3 * middle, 3), "iqr_ms": round(1e3 * (high - low), 3)}


def machine(*packages: str) -> dict[str, Any]:
    """Cores, threads that may run at once, Python and package versions."""
    return {
        "cores": os.cpu_count(),
        "threads": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def publish(title: str, about: dict[str, Any], rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows of equal keys as a Markdown table, or everything as JSON."""
    if as_json:
        print(json.dumps({"benchmark": title, **about, "rows": rows}))
        return
    print(f"{title}: " + ", ".join(f"{key} {value}" for key, value in about.items()) + "\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
