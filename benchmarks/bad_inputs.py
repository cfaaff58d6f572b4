"""Seconds and memory for every bad, unusual and largest photo of the corpus, read as enrol and query read it.

Usage: PYTHONPATH=. python benchmarks/bad_inputs.py [--json]

Linux only: the kernel's high-water mark of memory is reset before each photo. Exits with 1 if a photo took more than
5 s of processor time or 600 MiB above what the process had before, or was not answered as the corpus says.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from report import machine, publish

from tests.corpus import images
from twindex.embedder.faces.reader import FaceReader
from twindex.errors import PhotoError

MOST_SECONDS, MOST_MEMORY = 5.0, 600.0
_STATUS = Path("/proc/self/status")


def memory(figure: str) -> float:
    """A figure of the kernel about this process, MiB."""
    return int(_STATUS.read_text().split(f"{figure}:")[1].split()[0]) / 1024


def measured(reader: FaceReader, data: bytes) -> tuple[str, float, float]:
    """The outcome of reading a photo, its seconds of processor time, and the memory that it took at most, MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    before, started = memory("VmRSS"), time.process_time()
    try:
        reader.samples(data, "photo", all_faces=True)
        outcome = "good"
    except PhotoError as error:
        outcome = error.code
    return outcome, time.process_time() - started, memory("VmHWM") - before


def cases() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Name to the expected outcome and what makes the photo."""
    good = {**images.GOOD, **images.GREY, "fifty-faces.jpg": images.fifty_faces}
    turned = {f"turned-{number}.png": ("good", lambda n=number: images.turned(n)) for number in range(1, 9)}
    return {**images.BAD, **images.LARGEST, **{name: ("good", make) for name, make in good.items()}, **turned}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reader = FaceReader()
    reader.samples(images.GOOD["jpeg.jpg"](), "photo")  # loads the networks
    rows, wrong = [], []
    for name, (expected, make) in cases().items():
        data = make()
        outcome, seconds, taken = measured(reader, data)
        rows.append(
            {
                "photo": name,
                "kB": len(data) // 1000,
                "outcome": outcome,
                "processor s": round(seconds, 2),
                "MiB": round(taken),
            }
        )
        if outcome != expected or seconds > MOST_SECONDS or taken > MOST_MEMORY:
            wrong.append(name)
    rows.sort(key=lambda row: -row["processor s"])
    publish("Bad and unusual photos", machine("pillow", "openvino"), rows, as_json=options.json)
    if wrong:
        sys.exit(f"over a limit or answered otherwise than expected: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
