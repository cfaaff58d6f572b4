"""`twindex jobs`: batch jobs and what became of each photo."""

from typing import TYPE_CHECKING, Any

import click

import twindex
from twindex.commands.options import ROW_NUMBER, common_options, open_store, settings_of
from twindex.commands.terminal import show, table
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.storage import Job

EXAMPLES = """\b
Examples:
  twindex jobs list
  twindex jobs show 3 --status failed
  twindex jobs resume 3
"""
STATUSES = ("pending", "enrolled", "skipped", "failed")


@click.group(epilog=EXAMPLES)
def jobs() -> None:
    """List, show and resume batch jobs."""


@jobs.command("list")
@common_options
@click.pass_context
def list_jobs(context: click.Context) -> None:
    """List the jobs, newest last."""
    with open_store(context, read_only=True) as store:
        found = [(job, store.jobs.counts(job.id)) for job in store.jobs.list()]
    value = [{**_job(job), "items": counts} for job, counts in found]
    rows = [
        (
            job.id,
            job.kind,
            job.state,
            job.created.strftime("%Y-%m-%d %H:%M"),
            *(counts.get(status, 0) for status in STATUSES),
        )
        for job, counts in found
    ]
    show(settings_of(context), value, table(("job", "kind", "state", "created", *STATUSES), rows))


@jobs.command("show")
@click.argument("job", type=ROW_NUMBER)
@click.option("--status", type=click.Choice(STATUSES), help="Only the photos with this status.")
@common_options
@click.pass_context
def show_job(context: click.Context, job: int, status: str | None) -> None:
    """Show a JOB's photos, each with its status and reason."""
    with open_store(context, read_only=True) as store:
        found = store.jobs.get(job)
        items = [item for item in store.jobs.items(job) if status in (None, item.status)]
    rows = [(item.status, item.subject, item.path, item.reason or "") for item in items]
    value = {
        **_job(found),
        "items": [
            {key: getattr(item, key) for key in ("path", "subject", "status", "reason", "reference")} for item in items
        ],
    }
    lines = [f"job {found.id}: {found.kind}, {found.state}", *table(("status", "subject", "photo", "reason"), rows)]
    show(settings_of(context), value, lines)


@jobs.command("resume")
@click.argument("job", type=ROW_NUMBER)
@common_options
@click.pass_context
def resume_job(context: click.Context, job: int) -> int:
    """Resume an interrupted JOB."""
    settings = settings_of(context)
    with open_store(context, read_only=True) as store:
        found = store.jobs.get(job)
    if found.state == "finished":
        raise UsageError(f"Job {job} is finished; there is nothing to resume.")
    if found.kind == "reindex":
        from twindex.commands.reindex import reindex, resume_rollback

        if "rollback" in found.parameters:
            return resume_rollback(settings, found.parameters["rollback"])
        model, index = found.parameters["model"], found.parameters["index"]
        return int(context.invoke(reindex, model=model, index=index))
    from twindex.commands.enroll import report_run

    with twindex.open(settings.gallery, create=False) as gallery:
        return report_run(settings, lambda listen, start: gallery.resume(job, listen, start))


def _job(job: "Job") -> dict[str, Any]:
    finished = None if job.finished is None else job.finished.isoformat()
    return {
        "job": job.id,
        "kind": job.kind,
        "state": job.state,
        "parameters": job.parameters,
        "created": job.created.isoformat(),
        "finished": finished,
    }
