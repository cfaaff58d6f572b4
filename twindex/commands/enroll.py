"""`twindex enroll`: photos into the gallery."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

import twindex
from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import above_bar, progress, say, several_faces, show
from twindex.config import BATCH_FAILED, DATABASE, Settings
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.jobs.enroll import Listener
    from twindex.jobs.reports import EnrolmentReport, ItemReport

EXAMPLES = """\b
Examples:
  twindex enroll people/                         one sub-folder per subject
  twindex enroll me.jpg --subject "Zoë"
  twindex enroll --manifest staff.csv            columns: path, subject; perhaps consent, expires
  twindex enroll guests/ --expires 2030-12-31 --consent "form 17"
  twindex enroll faces/ --pre-cropped            each file is one aligned face
"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--subject", help="Who all the photos show.")
@click.option("--manifest", type=click.Path(path_type=Path), help="CSV file with the columns path and subject.")
@click.option("--consent", metavar="REF", help="Where the consent is documented; kept with every reference.")
@click.option(
    "--expires",
    metavar="DATE",
    help="From this date on (00:00 UTC) the references answer no query, and `subjects purge` erases them.",
)
@pre_cropped_option
@click.option("--model", help="For a new gallery: the model it uses (a name, a fingerprint or a folder).")
@click.option(
    "--discard-crops", is_flag=True, help="For a new gallery: keep no crops (it cannot change its model then)."
)
@common_options
@click.pass_context
def enroll(
    context: click.Context,
    paths: tuple[Path, ...],
    subject: str | None,
    manifest: Path | None,
    consent: str | None,
    expires: str | None,
    pre_cropped: bool,
    model: str | None,
    discard_crops: bool,
) -> int:
    """Enrol people from photos.

    PATHS are folders with one sub-folder per subject, or any photos and folders together with --subject. Every photo is
    reported; a bad one never stops the others (exit 4). Running the same command again enrols nothing twice and resumes
    an interrupted run; for photos that are enrolled already it sets the consent and the expiry that it names.
    """
    from twindex.jobs.capture import Reading
    from twindex.jobs.enrolment import plan_listed, plan_photos
    from twindex.storage.values.terms import parse_terms

    settings = settings_of(context)
    if bool(paths) == bool(manifest):
        raise UsageError("Name photos or folders, or a --manifest; see `twindex enroll --help`.")
    if manifest and subject is not None:
        raise UsageError("--subject does not go with --manifest, which names each photo's subject.")
    terms, reading = parse_terms(consent, expires, datetime.now(UTC)), Reading(pre_cropped)
    plan = plan_listed(manifest, terms, reading) if manifest else plan_photos(paths, subject, terms, reading)
    _tell_others(paths)
    with _gallery(settings, model, keep_crops=not discard_crops) as gallery:
        return report_run(settings, lambda listen, start: gallery.run(plan, listen, start))


def _tell_others(paths: tuple[Path, ...]) -> None:
    """Say which files in the named folders are not photos by their names."""
    from twindex.embedder.photos.files import others_below

    for path in paths:
        if path.is_dir() and (others := others_below(path)):
            say(f"note: {len(others)} files in {path} are left out, such as {others[0].name}: no photo is named so")


Run = Callable[["Listener", Callable[[int], None]], "EnrolmentReport"]


def report_run(settings: Settings, run: Run) -> int:
    """Run an enrolment with a progress bar, print its report, return the exit status."""
    with progress(0, "photo", "enrol") as bar:

        def start(total: int) -> None:
            bar.total = total
            bar.refresh()

        def listen(report: "ItemReport") -> None:
            bar.update()
            if not settings.json:
                above_bar(f"{report.status:8} {report.path}: {report.reason or report.subject}")
            for other in report.collisions:
                above_bar(f"note: {report.path} is enrolled as {report.subject} and as {other} too", talk=True)
            if report.rivals:
                above_bar(f"{several_faces(report.path, report.rivals)} enrolled as {report.subject}", talk=True)

        report = run(listen, start)
    line = f"enrolled {report.enrolled}, skipped {report.skipped}, failed {report.failed} (job {report.job})"
    show(settings, report.to_json(), [line])
    return BATCH_FAILED if report.failed else 0


def _gallery(settings: Settings, model: str | None, *, keep_crops: bool) -> "twindex.Gallery":
    """The gallery, made if it is missing."""
    if not (settings.gallery / DATABASE).exists():
        say(f"new gallery in {settings.gallery}")
    elif model is not None or not keep_crops:
        raise UsageError(
            "--model and --discard-crops are for a new gallery; `twindex reindex --model` changes this one."
        )
    return twindex.open(settings.gallery, model=model, keep_crops=keep_crops)
