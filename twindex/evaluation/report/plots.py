"""The plots of an evaluation's report, as PNG files."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twindex.evaluation.metrics.identification import Searches
from twindex.evaluation.metrics.verification import roc
from twindex.evaluation.open_set import CMC_RANKS
from twindex.evaluation.pairs import PairsResult

BLUE, ORANGE, GREY = "#1f5fa8", "#c4481c", "#9aa0a8"
_SMALLEST_RATE = 1e-4


def plot_pairs(result: PairsResult, folder: Path) -> list[tuple[str, str]]:
    """Write the ROC, the distances and the reliability diagram.

    Returns:
        (file name, caption) of each.
    """
    curve, scores, bins = roc(result.scores), result.scores, result.reliability
    figure, axes = _new()
    shown = 1 - curve.fnmr[curve.fmr >= _SMALLEST_RATE]
    axes.plot(np.maximum(curve.fmr, _SMALLEST_RATE), 1 - curve.fnmr, color=BLUE)
    axes.set(xscale="log", xlabel="FMR", ylabel="1 - FNMR", xlim=(_SMALLEST_RATE, 1))
    lowest = float(shown.min()) if len(shown) else 0.0
    axes.set_ylim(max(0.0, math.floor(lowest * 10 - 0.5) / 10), 1.005)
    figure.savefig(folder / "roc.png")
    figure, axes = _new()
    edges = np.linspace(0, 2, 81).tolist()
    axes.hist(scores.of_non_mated[np.isfinite(scores.of_non_mated)], edges, color=ORANGE, alpha=0.7, label="non-mated")
    axes.hist(scores.of_mated[np.isfinite(scores.of_mated)], edges, color=BLUE, alpha=0.7, label="mated")
    axes.set(xlabel="Euclidean distance", ylabel="pairs")
    axes.legend(frameon=False)
    figure.savefig(folder / "distances.png")
    figure, axes = _new()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--")
    axes.plot(bins.predicted, bins.observed, color=BLUE, marker="o")
    for predicted, observed, count in zip(bins.predicted, bins.observed, bins.counts, strict=True):
        axes.annotate(str(count), (predicted, observed), textcoords="offset points", xytext=(4, -10), fontsize=7)
    axes.set(xlabel="predicted probability", ylabel="share of mated pairs", xlim=(0, 1), ylim=(0, 1.02))
    figure.savefig(folder / "reliability.png")
    return [
        ("roc.png", "Receiver operating characteristic."),
        ("distances.png", "Distances of mated and of non-mated pairs."),
        ("reliability.png", "Reliability diagram; the numbers count the pairs in each bin."),
    ]


def plot_search(by_size: dict[int, Searches], folder: Path) -> list[tuple[str, str]]:
    """Write the CMC and DET curves.

    Returns:
        (file name, caption) of each.
    """
    figure, axes = _new()
    for shade, (size, outcome) in enumerate(by_size.items(), 1):
        rates = [outcome.rank_rate(rank) for rank in CMC_RANKS]
        axes.plot(CMC_RANKS, rates, color=BLUE, alpha=shade / len(by_size), marker="o", label=f"{size} subjects")
    axes.set(xscale="log", xlabel="rank", ylabel="share of mated probes found", ylim=(None, 1.005))
    axes.set_xticks(CMC_RANKS, [str(rank) for rank in CMC_RANKS], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(folder / "cmc.png")
    figure, axes = _new()
    for shade, (size, outcome) in enumerate(by_size.items(), 1):
        axes.plot(*outcome.trade_off(), color=BLUE, alpha=shade / len(by_size), label=f"{size} subjects")
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set(xlabel="FPIR", ylabel="FNIR", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(folder / "det.png")
    return [
        ("cmc.png", "Cumulative match characteristic."),
        ("det.png", "Detection error trade-off: FNIR against FPIR."),
    ]


def _new() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes
