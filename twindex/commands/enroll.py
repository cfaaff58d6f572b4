"""`twindex enroll`: photos into the gallery."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import above_bar, emit, progress, say, several_faces
from twindex.config import BATCH_FAILED, DATABASE, Settings
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.storage.values.terms import Terms

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
    reported; a bad one never stops the others (exit 4). Running the same command again enrols nothing twice and goes on
    where an interrupted run was; for photos that are enrolled already it sets the consent and the expiry that it names.
    """
    from twindex.embedder.photos.files import others_below
    from twindex.jobs.enroll import plan_job
    from twindex.jobs.plan import plan_manifest, plan_paths
    from twindex.storage import CONSENT_REQUIRED, subject_name
    from twindex.storage.values.terms import parse_terms

    settings = settings_of(context)
    if bool(paths) == bool(manifest):
        raise UsageError("Name photos or folders, or a --manifest; see `twindex enroll --help`.")
    if manifest and subject is not None:
        raise UsageError("--subject does not go with --manifest, which names each photo's subject.")
    terms = parse_terms(consent, expires, datetime.now(UTC))
    photos = [*(plan_manifest(manifest, terms) if manifest else plan_paths(list(paths), subject, terms))]
    if not photos:
        raise UsageError(
            "There are no photos to enrol in what you named; in folders, names tell them (.jpg, .png, ...)."
        )
    for name in {photo.subject for photo in photos}:
        subject_name(name)
    for path in paths:
        if path.is_dir() and (others := others_below(path)):
            say(f"note: {len(others)} files in {path} are left out, such as {others[0].name}: no photo is named so")
    with _gallery(settings, model, keep_crops=not discard_crops) as gallery:
        asked = [str(path.resolve()) for path in ([manifest] if manifest else paths)]
        if gallery.store.gallery().consent_required and not any(photo.terms.consent for photo in photos):
            raise UsageError(f"Nothing was enrolled. {CONSENT_REQUIRED}.")
        job = plan_job(gallery, photos, {"request": _digest(asked, subject, terms), "pre_cropped": pre_cropped})
        return run_and_report(settings, gallery, job)


def run_and_report(settings: Settings, gallery: Any, job: Any) -> int:
    """Run an enrolment job with a progress bar, print its report, return the exit status.

    The report is of the whole job: what was settled before it was interrupted comes first.
    """
    from twindex.embedder.faces.reader import FaceReader
    from twindex.jobs.enroll import ItemReport, run_job, settled_items
    from twindex.running.pipeline import READERS

    counts = {"enrolled": 0, "skipped": 0, "failed": 0}
    items: list[dict[str, Any]] = []
    pending = gallery.store.jobs.counts(job.id).get("pending", 0)
    with progress(pending, "photo", "enrol") as bar:

        def tell(report: ItemReport) -> None:
            counts[report.status] += 1
            if settings.json:
                items.append(report.to_json())
            else:
                above_bar(f"{report.status:8} {report.path}: {report.reason or report.subject}")

        def listen(report: ItemReport) -> None:
            bar.update()
            tell(report)
            for other in report.collisions:
                above_bar(f"note: {report.path} is enrolled as {report.subject} and as {other} too", talk=True)
            if report.rivals:
                above_bar(f"{several_faces(report.path, report.rivals)} enrolled as {report.subject}", talk=True)

        for settled in settled_items(gallery, job):
            tell(settled)
        run_job(gallery, job, FaceReader.of_many(READERS), listen)
    if settings.json:
        emit({**counts, "items": items})
    else:
        click.echo(
            f"enrolled {counts['enrolled']}, skipped {counts['skipped']}, failed {counts['failed']} (job {job.id})"
        )
    return BATCH_FAILED if counts["failed"] else 0


def _digest(paths: list[str], subject: str | None, terms: "Terms") -> str:
    """What was asked, so that the same request finds its job again; a digest, since names must not outlive erasure."""
    asked = [paths, subject, *([terms.consent, str(terms.expires)] if terms.given else [])]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _gallery(settings: Settings, model: str | None, *, keep_crops: bool) -> Any:
    from twindex.embedder.model.registry import find_model, install_model
    from twindex.gallery.service import Gallery

    if not (settings.gallery / DATABASE).exists():
        say(f"new gallery in {settings.gallery}")
        # Installed, so that later calls find the model by its fingerprint.
        bundle = find_model("default") if model is None else install_model(model)
        return Gallery.create(settings.gallery, bundle, keep_crops=keep_crops)
    if model is not None or not keep_crops:
        raise UsageError(
            "--model and --discard-crops are for a new gallery; `twindex reindex --model` changes this one."
        )
    return Gallery.open(settings.gallery)
