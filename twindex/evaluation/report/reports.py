"""The reports of the two evaluations: which plots and which errors they show."""

from pathlib import Path

from twindex.evaluation.open_set import SearchResult
from twindex.evaluation.pairs import PairsResult
from twindex.evaluation.report.page import Comparison, Page, ReadFace, write_page
from twindex.evaluation.report.plots import plot_pairs, plot_search


def report_pairs(result: PairsResult, folder: Path, name: str, read_face: ReadFace, *, worst: int) -> Path:
    """Write a verification's report.

    Args:
        result: What was measured.
        folder: Of the report; it exists.
        name: Of the list of pairs.
        read_face: As for `write_page`.
        worst: How many pairs of each kind to show.

    Returns:
        The page.
    """
    headings = {True: "Mated pairs, least probable first", False: "Non-mated pairs, most probable first"}
    errors = [
        (heading, [Comparison(pair.first, pair.second, f"P(same) {p:.3f}") for pair, p in result.worst(mated, worst)])
        for mated, heading in headings.items()
    ]
    title = f"Verification of {name} by {result.card.name}"
    page = Page(title, result.to_json(), plot_pairs(result, folder), errors, result.failures)
    return write_page(folder, page, read_face)


def report_search(result: SearchResult, folder: Path, read_face: ReadFace, *, worst: int) -> Path:
    """Write a search's report; arguments as for `report_pairs`."""
    headings = {True: "Another person came first, nearest first", False: "Strangers, nearest first"}
    errors = []
    for mated, heading in headings.items():
        wrong = [answer for answer in result.worst if (answer.person is not None) == mated][:worst]
        comparisons = [Comparison(answer.probe, answer.first, f"distance {answer.distance:.3f}") for answer in wrong]
        errors.append((heading, comparisons))
    title = f"Search in {result.subjects} people by {result.card.name}"
    page = Page(title, result.to_json(), plot_search(result.by_size, folder), errors, result.failures)
    return write_page(folder, page, read_face)
