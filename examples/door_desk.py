"""Answer each new photo in a folder once, as a door desk would.

python examples/door_desk.py GALLERY FOLDER [--rounds N]

Looks into FOLDER every second, for ever or N times, and prints one line for each photo that it has not seen before.
"""

import argparse
import itertools
import time
from pathlib import Path

import twindex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    seen: set[Path] = set()
    rounds = itertools.count() if options.rounds is None else range(options.rounds)
    with twindex.open(options.gallery, read_only=True) as gallery:
        for number in rounds:
            if number:
                time.sleep(1)
            for photo in sorted(set(options.folder.glob("*.jpg")) - seen):
                seen.add(photo)
                answer = gallery.identify(photo)
                if answer.error is not None:
                    print(f"{photo.name}: no face ({answer.error.code})", flush=True)
                else:
                    print(f"{photo.name}: {answer.faces[0].subject or 'unknown'}", flush=True)


if __name__ == "__main__":
    main()
