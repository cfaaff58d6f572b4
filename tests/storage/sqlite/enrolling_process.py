"""A separate process that enrols numbered faces and acknowledges each on its standard output.

Usage: python -m tests.storage.sqlite.enrolling_process DATABASE FIRST COUNT [FILE_SIZE_LIMIT]
"""

import resource
import sys
from pathlib import Path

from tests.storage.builders import enrol
from twindex.storage import Store


def main(path: str, first: int, count: int, limit: int | None) -> None:
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with Store.open(Path(path)) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(first, first + count):
            print(number, enrol(store, number, f"subject {number}").reference, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None)
