"""Draws time, recall and size by number of references from what search.py measured.

python benchmarks/search.py --count 10000 100000 1000000 --json > search.json
python benchmarks/plot_search.py search.json docs/search.png
"""

import argparse
import json
from pathlib import Path

from twindex.extras import extra

with extra("bench"):
    from matplotlib.figure import Figure

COLOURS = {"FAISS Flat": "#9aa0a8", "hnswlib": "#c4481c", "usearch": "#b58a1c"}
OURS = ("#1f5fa8", "#2c8a5b", "#7a4fa3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="JSON that search.py printed")
    parser.add_argument("picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    rows = [
        row
        for line in options.measured.read_text(encoding="utf-8").splitlines()
        if line.startswith("{")
        for row in json.loads(line)["rows"]
    ]
    names = list(dict.fromkeys(row["index"] for row in rows))
    ours = iter(OURS * len(names))
    figure = Figure(figsize=(11, 3.6), dpi=110, layout="constrained")
    panels = figure.subplots(1, 3)
    for name in names:
        mine = sorted((row for row in rows if row["index"] == name), key=lambda row: row["N"])
        counts = [row["N"] for row in mine]
        values = (
            [row["median_ms"] for row in mine],
            [float(row["rank-1 kept"].split()[0]) for row in mine],
            [row["bytes a reference"] for row in mine],
        )
        colour = COLOURS.get(name) or next(ours)
        for panel, shown in zip(panels, values, strict=True):
            panel.plot(counts, shown, marker="o", color=colour, label=name)
    for panel, title in zip(
        panels, ("milliseconds a search", "exact rank-1 kept, %", "bytes a reference"), strict=True
    ):
        panel.set(xscale="log", xlabel="references", title=title)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yscale("log")
    panels[2].set(yscale="log")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(options.picture)


if __name__ == "__main__":
    main()
