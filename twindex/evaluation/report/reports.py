"""The reports of the two evaluations: which plots and which errors they show."""

from pathlib import Path
from typing import Any

from twindex.embedder.faces.reader import FaceReader
from twindex.evaluation.open_set import SearchResult
from twindex.evaluation.pairs import PairsResult
from twindex.evaluation.report.page import Comparison, write_page
from twindex.evaluation.report.plots import plot_pairs, plot_search


def report_pairs(
    result: PairsResult,
    value: dict[str, Any],
    folder: Path,
    name: str,
    reader: FaceReader,
    worst: int,
    *,
    pre_cropped: bool,
) -> Path:
    """Write a verification's report.

    Args:
        result, value: What was measured, and its JSON form.
        folder: Of the report; it exists.
        name: Of the list of pairs.
        reader: Finds the faces of the worst pairs again.
        worst: How many pairs of each kind to show.
        pre_cropped: Whether each photo is one aligned face already.

    Returns:
        The page.
    """
    headings = {True: "Mated pairs, least probable first", False: "Non-mated pairs, most probable first"}
    errors = [
        (heading, [Comparison(pair.first, pair.second, f"P(same) {p:.3f}") for pair, p in result.worst(mated, worst)])
        for mated, heading in headings.items()
    ]
    title, plots = f"Verification of {name} by {result.card.name}", plot_pairs(result, folder)
    return write_page(folder, title, value, plots, errors, result.failures, reader, pre_cropped=pre_cropped)


def report_search(
    result: SearchResult, value: dict[str, Any], folder: Path, reader: FaceReader, worst: int, *, pre_cropped: bool
) -> Path:
    """Write a search's report; arguments as for `report_pairs`."""
    headings = {True: "Another person came first, nearest first", False: "Strangers, nearest first"}
    errors = []
    for mated, heading in headings.items():
        wrong = [one for one in result.worst if (one.person is not None) == mated][:worst]
        errors.append((heading, [Comparison(one.probe, one.first, f"distance {one.distance:.3f}") for one in wrong]))
    title, plots = f"Search in {value['subjects']} people by {result.card.name}", plot_search(result.by_size, folder)
    return write_page(folder, title, value, plots, errors, result.failures, reader, pre_cropped=pre_cropped)
