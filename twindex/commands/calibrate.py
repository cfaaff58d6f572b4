"""`twindex calibrate`: set the gallery's operating threshold."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import above_bar, probability_text, progress_listener, say, show
from twindex.config import TARGET_FPIR, Settings
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.gallery.threshold.outcome import Calibration
    from twindex.storage import StoredThreshold

SMALLEST_FPIR = 1e-9  # a smaller rate would take more strangers than there are people
_NAMED = 5  # strangers above the default that are named

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
    help="Do nothing while the threshold fits; options not given are taken from the last calibration.",
)
@click.option("--reset", is_flag=True, help="Forget the gallery's threshold and return to the model's default.")
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
    """Set the probability at which a candidate becomes a match, for a target rate of strangers called somebody (FPIR).

    The bound holds for strangers like those measured: the same cameras, the same kind of people.
    """
    settings = settings_of(context)
    if target_fpir is not None and math.isnan(target_fpir):
        raise UsageError("Expected a --target-fpir between 0 and 1, got nan.")
    if pre_cropped and non_mated is None:
        raise UsageError("--pre-cropped goes with --non-mated: it says how the photos there are to be read.")
    if not reset:
        _calibrate(settings, target_fpir, non_mated, auto=auto, pre_cropped=pre_cropped)
    elif auto or non_mated is not None or target_fpir is not None:
        raise UsageError("--reset goes alone: it measures nothing.")
    else:
        _reset(settings)


def _calibrate(
    settings: Settings, target_fpir: float | None, non_mated: Path | None, *, auto: bool, pre_cropped: bool
) -> None:
    from twindex.gallery.service import Gallery
    from twindex.gallery.threshold.calibration import calibrate_gallery, recalibrate_gallery
    from twindex.gallery.threshold.outcome import StrangerPhotos

    source = None if non_mated is None else StrangerPhotos(non_mated.resolve(), pre_cropped)
    with Gallery.open(settings.gallery) as gallery, progress_listener("photo", "strangers") as listener:
        stored = gallery.store.gallery().threshold
        calibration = (
            recalibrate_gallery(gallery, target_fpir, source, listener=listener, unusable=_report_unusable)
            if auto
            else calibrate_gallery(
                gallery, target_fpir or TARGET_FPIR, source, listener=listener, unusable=_report_unusable
            )
        )
    if calibration is not None:
        _show(settings, calibration)
    elif stored is not None:
        _show_unchanged(settings, stored)


def _report_unusable(photo: Path, code: str) -> None:
    above_bar(f"left out {photo}: {code}", talk=True)


def _show(settings: Settings, calibration: "Calibration") -> None:
    """Print a calibration, and what to do if it rests on few strangers or on some that look enrolled."""
    point = calibration.point
    estimate = "at most" if calibration.method == "non-mated" else "about"
    low, high = point.fpir_interval
    misses = "" if calibration.fnir is None else f"; {_percent(calibration.fnir)} of enrolled photos are missed"
    people = f"{calibration.gallery_size} references of {calibration.subjects} people"
    lines = [
        f"threshold  {probability_text(point.threshold)}, {people}",
        f"FPIR       {estimate} {_percent(point.fpir_bound)} (95 %: {100 * low:.2f} to {_percent(high)})",
        f"method     {calibration.method}, {point.strangers} strangers{misses}",
    ]
    show(settings, {**calibration.to_json(), "changed": True}, lines)
    if not point.enough:
        where = "is the model's default" if point.threshold == calibration.default else "lies just above all of them"
        say(
            f"Too few strangers for {100 * calibration.target_fpir:g} %: {point.strangers} measured, at least "
            f"{calibration.fewest_strangers} needed. The threshold {where}; "
            f"the bound is {100 * point.fpir_bound:.1f} %."
        )
    if point.threshold > calibration.default and calibration.above_default:
        say(_raised(calibration))


def _show_unchanged(settings: Settings, stored: "StoredThreshold") -> None:
    from twindex.gallery.threshold.operating_point import SOURCE

    report = {name: value for name, value in stored.report.items() if name != SOURCE}
    lines = [f"The threshold {probability_text(stored.probability)} still fits."]
    show(settings, {**report, "changed": False}, lines)


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
    line = f"threshold  {probability_text(threshold)}, the model's default for {size} references of {people} people"
    show(settings, value, [line])


def _raised(calibration: "Calibration") -> str:
    """Who made the threshold higher than the model's default, and what to do if they should not have."""
    above = calibration.above_default
    nearest = [
        f"{near.stranger!r} like {near.subject!r} ({probability_text(near.probability)})" for near in above[:_NAMED]
    ]
    more = f" and {len(above) - _NAMED} more" if len(above) > _NAMED else ""
    remedy = (
        "If one of them is enrolled, take their photos out of the strangers"
        if calibration.method == "non-mated"
        else "If two of these are one person, merge them with `twindex subjects merge`"
    )
    return (
        f"The threshold is above the model's default for {calibration.subjects} people, "
        f"{probability_text(calibration.default)}, because so are {len(above)} of {calibration.point.strangers} "
        f"strangers: {', '.join(nearest)}{more}. {remedy} and calibrate again."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
