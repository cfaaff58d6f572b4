"""`twindex calibrate`: set the gallery's operating threshold."""

import math
from pathlib import Path
from typing import Any

import click

from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import above_bar, counting, probability_text, progress, say, show
from twindex.config import TARGET_FPIR, Settings
from twindex.errors import UsageError

SMALLEST_FPIR = 1e-9  # nobody has strangers for less
_TOLD = 5  # strangers above the default that are named

EXAMPLES = """\b
Examples:
  twindex calibrate --non-mated visitors/ --target-fpir 0.01
  twindex calibrate                       leaves each enrolled person out in turn
  twindex calibrate --auto                only if the gallery has grown or changed its model
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--target-fpir",
    type=click.FloatRange(SMALLEST_FPIR, 1, max_open=True),
    help="Share of strangers that may be called somebody (default: 0.01).",
)
@click.option(
    "--non-mated",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photos of people who are not enrolled; each sub-folder or loose file is one person.",
)
@click.option(
    "--auto",
    is_flag=True,
    help="Do nothing while the threshold fits; options that are not given are those of the last calibration.",
)
@click.option("--reset", is_flag=True, help="Forget the gallery's threshold: the model's default holds again.")
@pre_cropped_option
@common_options
@click.pass_context
def calibrate(
    context: click.Context,
    target_fpir: float | None,
    non_mated: Path | None,
    auto: bool,
    reset: bool,
    pre_cropped: bool,
) -> None:
    """Set the probability from which on a candidate is a match, for a target rate of strangers called somebody (FPIR).

    The bound holds for strangers like those measured: the same cameras, the same kind of people.
    """
    from twindex.evaluation.metrics.conformal import strangers_needed
    from twindex.gallery.service import Gallery
    from twindex.gallery.threshold.age import threshold_age
    from twindex.gallery.threshold.operating_point import SOURCE
    from twindex.gallery.threshold.operating_point import calibrate as set_threshold

    settings = settings_of(context)
    if target_fpir is not None and math.isnan(target_fpir):
        raise UsageError("Expected a --target-fpir between 0 and 1, got nan.")
    if pre_cropped and non_mated is None:
        raise UsageError("--pre-cropped goes with --non-mated: it says how the photos there are to be read.")
    if reset:
        if auto or non_mated is not None or target_fpir is not None:
            raise UsageError("--reset goes alone: it measures nothing.")
        _reset(settings)
        return
    with Gallery.open(settings.gallery) as gallery:
        stored = gallery.store.gallery().threshold if auto else None
        last: dict[str, Any] = {} if stored is None else stored.report[SOURCE]
        target = target_fpir or (TARGET_FPIR if stored is None else stored.target_fpir)
        source = last if non_mated is None else {"folder": str(non_mated.resolve()), "pre_cropped": pre_cropped}
        if (
            stored is not None
            and (target, source) == (stored.target_fpir, last)
            and threshold_age(gallery).age == "fits"
        ):
            kept = {name: value for name, value in stored.report.items() if name != SOURCE}
            show(
                settings,
                {**kept, "changed": False},
                [f"The threshold {probability_text(stored.probability)} still fits."],
            )
            return
        fingerprint = gallery.active().fingerprint
        strangers = _templates(gallery.embedder(fingerprint), **source) if source else None
        found = set_threshold(gallery, fingerprint, target, strangers, source=source)
    point, estimate = found.point, "about" if strangers is None else "at most"
    low, high = point.fpir_interval
    told = "" if found.fnir is None else f"; {100 * found.fnir:.2f} % of enrolled photos, left out, are not found"
    lines = [
        f"threshold  {probability_text(point.threshold)}, {found.gallery_size} references of {found.subjects} people",
        f"FPIR       {estimate} {100 * point.fpir_bound:.2f} % (95 %: {100 * low:.2f} to {100 * high:.2f} %)",
        f"method     {found.method}, {point.strangers} strangers{told}",
    ]
    show(settings, {**found.to_json(), "changed": True}, lines)
    if not point.enough:
        needed = strangers_needed(target, mutual=strangers is None)
        where = "is the model's default" if point.threshold == found.default else "lies just above all of them"
        say(
            f"Too few strangers for {100 * target:g} %: {point.strangers} measured, at least {needed} needed. The "
            f"threshold {where}; the bound is {100 * point.fpir_bound:.1f} %."
        )
    if point.threshold > found.default and found.above_default:
        say(_raised(found))


def _reset(settings: Settings) -> None:
    """Go back to the model's default threshold."""
    from twindex.gallery.service import Gallery

    with Gallery.open(settings.gallery) as gallery:
        threshold, size = gallery.reset_threshold(), gallery.store.references.count()
        people = gallery.subject_count()
    value = {
        "threshold": threshold,
        "target_fpir": None,
        "fpir_bound": None,
        "fnir": None,
        "gallery_size": size,
        "method": "default",
    }
    told = f"threshold  {probability_text(threshold)}, the model's default for {size} references of {people} people"
    show(settings, value, [told])


def _raised(found: Any) -> str:
    """Who made the threshold higher than the model's default, and what to do if they should not have."""
    above, default = found.above_default, probability_text(found.default)
    nearest = [f"{one.stranger!r} like {one.subject!r} ({probability_text(one.probability)})" for one in above[:_TOLD]]
    more = f" and {len(above) - _TOLD} more" if len(above) > _TOLD else ""
    remedy = (
        "If one of them is enrolled, take their photos out of the strangers"
        if found.method == "non-mated"
        else "If two of these are one person, merge them with `twindex subjects merge`"
    )
    return (
        f"The threshold is above the model's default for {found.subjects} people, {default}, because so are "
        f"{len(above)} of {found.point.strangers} strangers: {', '.join(nearest)}{more}. {remedy} and calibrate again."
    )


def _templates(embedder: Any, folder: str, pre_cropped: bool) -> dict[str, Any]:
    """Templates of each stranger; photos without a usable face are told and left out."""
    import numpy as np

    from twindex.embedder.faces.reader import FaceReader
    from twindex.evaluation.capture import capture
    from twindex.evaluation.open_set import subject_photos
    from twindex.running.pipeline import READERS

    if not Path(folder).is_dir():
        raise UsageError(f"The strangers' folder {folder} of the last time is gone; name another with --non-mated.")
    photos = subject_photos(Path(folder))
    with progress(len(photos), "photo", "strangers") as bar:
        paths = [path for _, path in photos]
        captured = capture(paths, FaceReader.of_many(READERS), embedder, counting(bar), pre_cropped=pre_cropped)
        for path, code in captured.failures:
            above_bar(f"left out {path}: {code}", talk=True)
    by_name: dict[str, list[Any]] = {}
    for (name, _), template, usable in zip(photos, captured.templates, captured.usable, strict=True):
        if usable:
            by_name.setdefault(name, []).append(template)
    return {name: np.stack(templates) for name, templates in by_name.items()}
