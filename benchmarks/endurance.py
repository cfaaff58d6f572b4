"""Memory of one process that enrols and enrols: resident size after every tenth part.

The network is left out: it is the same work each time. Everything else is as in the batch job: crops, templates, a
transaction a batch, and one snapshot at the end.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from likeness import Likeness
from report import machine, publish

from twindex.embedder.faces.alignment import encode_crop
from twindex.gallery.captures import Capture, Embedded
from twindex.gallery.service import Gallery
from twindex.jobs.enroll import BATCH
from twindex.types import Sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--enrolments", type=int, default=50_000, help="320 at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    templates = np.concatenate(list(Likeness.load().draw(options.enrolments, 1, options.seed)))
    squares = np.random.default_rng(options.seed).integers(0, 256, (8, 8, 3), np.uint8)
    crop = encode_crop(squares.repeat(32, axis=0).repeat(32, axis=1))
    rows, part = [], max(BATCH, options.enrolments // 10 // BATCH * BATCH)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Gallery.create(Path(folder) / "gallery") as gallery:
        fingerprint = gallery.active().fingerprint
        for start in range(0, options.enrolments, BATCH):
            vectors = templates[start : start + BATCH]
            captures = [
                Capture(Sample(f"{number:064x}", f"{number}.jpg", 0, None, 100.0, crop), f"subject {number}")
                for number in range(start, start + len(vectors))
            ]
            gallery.commit(captures, Embedded(fingerprint, vectors))
            done = start + len(vectors)
            if done % part == 0:
                seconds = time.perf_counter() - started
                rows.append({"enrolled": done, "resident MB": _resident(), "enrolments/s": round(done / seconds)})
        growth = 100 * (rows[-1]["resident MB"] / rows[0]["resident MB"] - 1)
        gallery.compact_when_behind()
        rows.append({"enrolled": "with a snapshot", "resident MB": _resident(), "enrolments/s": ""})
    about = {**machine("sqlalchemy", "faiss-cpu"), "growth after the first tenth": f"{growth:.1f} %"}
    about |= {"dim": templates.shape[1], "seed": options.seed}
    publish("Endurance", about, rows, as_json=options.json)


def _resident() -> float:
    """Megabytes of this process, as Linux tells."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * 4096 / 1e6, 1)


if __name__ == "__main__":
    main()
