"""A gallery of people who do not exist, as large as wanted, written straight into the database's tables.

python benchmarks/big_gallery.py FOLDER --references 1000000
"""

import argparse
import sqlite3
import time
from pathlib import Path

from likeness import Likeness

from twindex.config import DATABASE
from twindex.gallery.service import Gallery
from twindex.storage.values.template_format import template_sha256

_NOW = "2026-01-01T00:00:00.000000+00:00"


def make_gallery(folder: Path, references: int, per_subject: int, seed: int, likeness: Likeness) -> None:
    """Fill a new gallery; through `enroll` a million references would take an hour of embedding.

    Args:
        folder: Of the gallery.
        references: How many.
        per_subject: References of each subject.
        seed: Of the templates.
        likeness: How they are spread.
    """
    with Gallery.create(folder, keep_crops=False) as gallery:
        fingerprint = gallery.active().fingerprint
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("PRAGMA synchronous = OFF")
    done = 0
    for block in likeness.draw(references, per_subject, seed):
        numbers = range(done + 1, done + len(block) + 1)
        owners = [(number - 1) // per_subject + 1 for number in numbers]
        stored = [vector.astype("<f4").tobytes() for vector in block]
        subjects = [(one, f"subject {one:08d}", "{}", _NOW) for one in sorted(set(owners))]
        samples = [(number, f"{number:064x}", f"{number}.jpg", 0, 100.0) for number in numbers]
        hashed = [
            (number, number, fingerprint, template_sha256(number, fingerprint, vector), vector)
            for number, vector in zip(numbers, stored, strict=True)
        ]
        with connection:
            connection.executemany("INSERT INTO subjects VALUES (?, ?, ?, ?)", subjects)
            connection.executemany(
                "INSERT INTO samples (id, source_sha256, source_name, face_index, quality) VALUES (?, ?, ?, ?, ?)",
                samples,
            )
            connection.executemany(
                'INSERT INTO "references" (id, sample_id, subject_id, enrolled) VALUES (?, ?, ?, ?)',
                [(number, number, owner, _NOW) for number, owner in zip(numbers, owners, strict=True)],
            )
            connection.executemany("INSERT INTO templates VALUES (?, ?, ?, ?, ?)", hashed)
            connection.executemany(
                "INSERT INTO changes (kind, reference) VALUES ('enrolled', ?)", [(number,) for number in numbers]
            )
        done += len(block)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--references", type=int, default=1_000_000)
    parser.add_argument("--per-subject", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    make_gallery(options.folder, options.references, options.per_subject, options.seed, Likeness.load())
    size = (options.folder / DATABASE).stat().st_size / 1e6
    print(f"{options.references} references in {time.perf_counter() - started:.0f} s, {size:.0f} MB")


if __name__ == "__main__":
    main()
