"""`twindex calibrate`: set the gallery's operating threshold."""

from pathlib import Path
from typing import Any

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import above_bar, progress, say, show
from twindex.errors import UsageError

TARGET_FPIR = 0.01
EXAMPLES = """\b
Examples:
  twindex calibrate --non-mated visitors/ --target-fpir 0.01
  twindex calibrate                       leaves each enrolled person out in turn
  twindex calibrate --auto                only if the gallery has grown or changed its model
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--target-fpir",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of strangers that may be called somebody (default: 0.01).",
)
@click.option(
    "--non-mated",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photos of people who are not enrolled; each sub-folder or loose file is one person.",
)
@click.option("--auto", is_flag=True, help="Only when the threshold no longer fits, with what was given last time.")
@click.option("--pre-cropped", is_flag=True, help="Each image is one aligned face already; nothing is detected.")
@common_options
@click.pass_context
def calibrate(
    context: click.Context, target_fpir: float | None, non_mated: Path | None, auto: bool, pre_cropped: bool
) -> None:
    """Set the probability from which on a candidate is a match, for a target rate of strangers called somebody (FPIR).

    The bound holds for strangers like those measured: the same cameras, the same kind of people.
    """
    from twindex.gallery.operating_point import SOURCE
    from twindex.gallery.operating_point import calibrate as set_threshold
    from twindex.gallery.service import Gallery
    from twindex.gallery.threshold_age import threshold_age

    settings = settings_of(context)
    with Gallery.open(settings.gallery) as gallery:
        stored = gallery.store.gallery().threshold
        if auto and stored is not None:
            target_fpir = target_fpir or stored.target_fpir
            if threshold_age(gallery).age == "fits":
                shown = {name: value for name, value in stored.report.items() if name != SOURCE}
                show(settings, {**shown, "changed": False}, [f"The threshold {stored.probability:.3f} still fits."])
                return
            if non_mated is None and stored.report.get(SOURCE):
                non_mated = Path(stored.report[SOURCE])
        strangers = None if non_mated is None else _templates(gallery, non_mated, pre_cropped)
        source = "" if non_mated is None else str(non_mated.resolve())
        found = set_threshold(gallery, target_fpir or TARGET_FPIR, strangers, source=source)
    point = found.point
    low, high = point.fpir_interval
    told = "" if found.fnir is None else f", {100 * found.fnir:.2f} % of enrolled photos, left out, not found"
    lines = [
        f"threshold  {point.threshold:.4f} for {found.gallery_size} references of {found.subjects} people",
        f"FPIR       at most {100 * point.fpir_bound:.2f} % (95 %: {100 * low:.2f} to {100 * high:.2f} %)",
        f"method     {found.method}, {point.strangers} strangers{told}",
    ]
    show(settings, {**found.to_json(), "changed": True}, lines)
    if not point.enough:
        needed = int(1 / found.target_fpir)
        say(
            f"Too few strangers for {100 * found.target_fpir:g} %: {point.strangers} measured, at least {needed - 1} "
            f"needed. The threshold lies just above all of them; the bound is {100 * point.fpir_bound:.1f} %."
        )


def _templates(gallery: Any, folder: Path, pre_cropped: bool) -> dict[str, Any]:
    """Templates of each stranger; photos without a usable face are told and left out."""
    from twindex.embedder.faces import FaceReader
    from twindex.evaluation.capture import capture
    from twindex.evaluation.open_set import subject_photos

    if not folder.is_dir():
        raise UsageError(f"The strangers' folder {folder} of the last time is gone; name another with --non-mated.")
    photos = subject_photos(folder)
    with progress(len(photos), "photo", "strangers") as bar:

        def count(done: int) -> None:
            bar.update(done)

        embedder = gallery.embedder(gallery.active().fingerprint)
        captured = capture([path for _, path in photos], FaceReader(), embedder, count, pre_cropped=pre_cropped)
        for path, code in captured.failures:
            above_bar(f"left out {path}: {code}", talk=True)
    by_name: dict[str, list[Any]] = {}
    for (name, _), template, usable in zip(photos, captured.templates, captured.usable, strict=True):
        if usable:
            by_name.setdefault(name, []).append(template)
    import numpy as np

    return {name: np.stack(templates) for name, templates in by_name.items()}
