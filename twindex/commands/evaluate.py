"""`twindex evaluate`: how good are a model's answers?"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import click

from twindex.commands.options import common_options, model_option, pre_cropped_option, settings_of
from twindex.commands.terminal import counting, progress, say, show
from twindex.evaluation.metrics.fusion import RULES, Rule
from twindex.extras import extra

WORST = 12
_EXAMPLES = {
    "pairs": "  twindex evaluate pairs --pairs lfw/pairs.txt --images lfw --report report/",
    "search": "  twindex evaluate search --enrolled staff/ --probes new-photos/ --strangers visitors/",
}
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_REPORT = click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for plots and a page of the worst errors.",
)


@click.group(epilog="\b\nExamples:\n" + "\n".join(_EXAMPLES.values()))
@common_options
def evaluate() -> None:
    """Measure a model: verification of pairs, or open-set search.

    A photo without a usable face counts as a miss; it is never left out.
    """


@evaluate.command(epilog="\b\nExample:\n" + _EXAMPLES["pairs"])
@click.option(
    "--pairs",
    "pairs_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="List of pairs, in the format of Labeled Faces in the Wild.",
)
@click.option("--images", required=True, type=_FOLDER, help="Folder with the photos, NAME/NAME_0001.jpg and so on.")
@model_option
@pre_cropped_option
@_REPORT
@common_options
@click.pass_context
def pairs(
    context: click.Context, pairs_file: Path, images: Path, model: str | None, pre_cropped: bool, report: Path | None
) -> None:
    """Verify labelled pairs of photos: accuracy over folds, FNMR at FMR 1 % and 0.1 %, calibration error."""
    from twindex.embedder.faces.reader import FaceReader
    from twindex.evaluation.capture import capture_one
    from twindex.evaluation.pairs import measure_pairs, photos_of
    from twindex.evaluation.pairs_file import read_pairs
    from twindex.evaluation.report.page import new_folder
    from twindex.gallery.chosen_model import chosen_embedder
    from twindex.running.pipeline import READERS

    settings, listed = settings_of(context), read_pairs(pairs_file, images)
    if report is not None:
        with extra("evaluate"):
            from twindex.evaluation.report.reports import report_pairs
        new_folder(report)
    reader, embedder = FaceReader.of_many(READERS), chosen_embedder(settings.gallery, model)
    with progress(len(photos_of(listed)), "photo", "evaluate") as bar:
        result = measure_pairs(listed, reader, embedder, counting(bar), pre_cropped=pre_cropped)
    value = result.to_json()
    if report is not None:
        read_face = partial(capture_one, reader=reader, pre_cropped=pre_cropped)
        say(f"report: {report_pairs(result, report, pairs_file.name, read_face, worst=WORST)}")
    show(settings, value, _pairs_lines(value))


@evaluate.command(epilog="\b\nExample:\n" + _EXAMPLES["search"])
@click.option("--enrolled", required=True, type=_FOLDER, help="Folder with one sub-folder per person to enrol.")
@click.option("--probes", required=True, type=_FOLDER, help="New photos of them, in sub-folders of the same names.")
@click.option(
    "--strangers", required=True, type=_FOLDER, help="Photos of others; each sub-folder or loose file is one person."
)
@click.option(
    "--fusion",
    type=click.Choice(RULES),
    default="centroid",
    show_default=True,
    help="How several references of a person are combined; queries use the default.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Chooses the people of smaller galleries."
)
@model_option
@pre_cropped_option
@_REPORT
@common_options
@click.pass_context
def search(
    context: click.Context,
    /,
    enrolled: Path,
    probes: Path,
    strangers: Path,
    fusion: Rule,
    seed: int,
    model: str | None,
    pre_cropped: bool,
    report: Path | None,
) -> None:
    """Search an in-memory gallery for known people and for strangers: rank-1, CMC, FNIR at FPIR 1 % and 0.3 %."""
    from twindex.embedder.faces.reader import FaceReader
    from twindex.evaluation.capture import capture_one
    from twindex.evaluation.open_set import measure_search
    from twindex.evaluation.open_set_photos import OpenSet, capture_open_set, subject_photos
    from twindex.evaluation.report.page import new_folder
    from twindex.gallery.chosen_model import chosen_embedder
    from twindex.running.pipeline import READERS

    settings = settings_of(context)
    photos = OpenSet(*(tuple(subject_photos(folder)) for folder in (enrolled, probes, strangers)))
    if report is not None:
        with extra("evaluate"):
            from twindex.evaluation.report.reports import report_search
        new_folder(report)
    reader, embedder = FaceReader.of_many(READERS), chosen_embedder(settings.gallery, model)
    with progress(photos.photos, "photo", "evaluate") as bar:
        captured = capture_open_set(photos, reader, embedder, counting(bar), pre_cropped=pre_cropped)
    result = measure_search(captured, embedder.card, rule=fusion, seed=seed)
    value = result.to_json()
    if report is not None:
        read_face = partial(capture_one, reader=reader, pre_cropped=pre_cropped)
        say(f"report: {report_search(result, report, read_face, worst=WORST)}")
    show(settings, value, _search_lines(value))
    for rate in value["fnir_at_fpir"]:
        if value["strangers"] < (needed := math.ceil(1 / float(rate))):
            say(f"{value['strangers']} photos of strangers cannot show an FPIR of {_share(rate)}: it takes {needed}.")


def _pairs_lines(value: dict[str, Any]) -> list[str]:
    point, spread = value["at_verify_threshold"], value["accuracy_std"]
    folds = "" if spread is None else f" +- {_percent(spread)} over {value['folds']} folds"
    photos = f"{value['photos']} photos, {value['failures_to_enrol']} without a usable face"
    lines = [
        f"pairs              {value['pairs']} of {photos}",
        f"accuracy           {_percent(value['accuracy'])}{folds} ({_interval(value['accuracy_interval'])})",
    ]
    for rate, fnmr in value["fnmr_at_fmr"].items():
        interval = _interval(value["fnmr_at_fmr_interval"][rate])
        lines.append(f"{'FNMR at FMR ' + _share(rate):<19}{_percent(fnmr)} ({interval})")
    if value["decidability"] is not None:
        lines.append(f"decidability       {value['decidability']:.3f}")
    return [
        *lines,
        f"at P >= {point['probability']:<11.4f}FMR {_percent(point['fmr'])}, FNMR {_percent(point['fnmr'])}",
        f"calibration error  {value['ece']:.4f}, Brier score {value['brier']:.4f}",
    ]


def _search_lines(value: dict[str, Any]) -> list[str]:
    people = f"{value['gallery_size']} references of {value['subjects']} people"
    lines = [
        f"gallery  {people}; {value['failures_to_enrol']} photos without a usable face",
        f"probes   {value['probes']} of enrolled people, {value['strangers']} of strangers",
    ]
    for size, part in value["by_size"].items():
        rates = [f"FNIR {_percent(fnir)} at FPIR {_share(fpir)}" for fpir, fnir in part["fnir_at_fpir"].items()]
        lines.append(f"{size:>6} people: rank-1 {_percent(part['rank1'])}, {', '.join(rates)}")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _share(rate: str) -> str:
    return f"{100 * float(rate):g} %"


def _interval(interval: list[float]) -> str:
    return f"95 %: {100 * interval[0]:.2f} to {100 * interval[1]:.2f} %"
