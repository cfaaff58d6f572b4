"""Find pairs of photos that probably show one person, with NumPy on the templates.

python examples/duplicates.py PHOTO... [--distance D]
"""

import argparse
import itertools

import numpy as np

import twindex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--distance", type=float, default=0.9)
    options = parser.parse_args()
    templates = twindex.embed(options.photos)
    distances = np.linalg.norm(templates[:, None] - templates[None], axis=-1)
    for first, second in itertools.combinations(range(len(options.photos)), 2):
        if distances[first, second] <= options.distance:
            print(f"{distances[first, second]:.2f} {options.photos[first]} {options.photos[second]}")


if __name__ == "__main__":
    main()
