"""`twindex reindex`: move the gallery to another model or index while it keeps answering."""

from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import progress_listener, say, show
from twindex.config import BATCH_FAILED, Settings
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.jobs.reindex import ReindexReport

EXAMPLES = """\b
Examples:
  twindex reindex --index hnsw           another index type
  twindex reindex --index auto --max-index-memory 64
  twindex reindex --model my-model       another model: every kept crop is embedded again
  twindex reindex --rollback             back to the generation before
  twindex reindex --prune                drop the generations that are not in use
"""


@click.command(epilog=EXAMPLES)
@click.option("--model", help="Bundle to move to: a folder, a name or a fingerprint.")
@click.option("--index", help="auto, flat, hnsw, ivf, sq8, pq, or a FAISS factory string such as IVF64,Flat.")
@click.option(
    "--max-index-memory",
    type=click.IntRange(1),
    metavar="MB",
    help="With --index auto: the most memory that its codes and ids may take.",
)
@click.option("--rollback", is_flag=True, help="Make the generation before this one active again.")
@click.option("--prune", is_flag=True, help="Drop every generation that is not active, and unused templates.")
@common_options
@click.pass_context
def reindex(
    context: click.Context,
    model: str | None,
    index: str | None,
    max_index_memory: int | None,
    rollback: bool,
    prune: bool,
) -> int:
    """Build a new generation of the index beside the old one, check it, and make it active.

    Queries are answered throughout: by the old generation until the new one is complete. To resume a killed job, give
    the same command again. --prune alone only prunes; with other options it prunes afterwards.
    """
    from twindex.embedder.model.registry import install_model
    from twindex.gallery.service import Gallery
    from twindex.jobs import reindex as job

    if rollback and (model or index):
        raise UsageError("--rollback takes neither --model nor --index.")
    if max_index_memory is not None and (index is None or index.strip().lower() != "auto"):
        raise UsageError("--max-index-memory goes with --index auto.")
    settings = settings_of(context)
    with Gallery.open(settings.gallery) as gallery, progress_listener("face", "embed") as listener:
        report = None
        if rollback:
            report = job.roll_back(gallery, listener)
        elif model or index or not prune:
            bundle = install_model(model) if model else None
            report = job.reindex(gallery, bundle, index, listener, max_megabytes=max_index_memory)
        if prune and (report is None or not report.failed):
            generations, templates = job.prune(gallery)
            say(f"pruned {generations} generations and {templates} templates")
        return _show(settings, report or job.present(gallery))


def resume_rollback(settings: Settings, generation: int) -> int:
    """Resume a rollback to one generation, print its report, and return the exit status."""
    from twindex.gallery.service import Gallery
    from twindex.jobs.reindex import roll_back_to

    with Gallery.open(settings.gallery) as gallery, progress_listener("face", "embed") as listener:
        return _show(settings, roll_back_to(gallery, generation, listener))


def _show(settings: Settings, report: "ReindexReport") -> int:
    from twindex.index.spec import parse_spec

    line = (
        f"generation {report.generation}: {report.references} references, index {report.index}, "
        f"model {report.model[:12]}, {report.seconds:.1f} s"
    )
    if report.failed:
        line = (
            f"{report.failed} references have no kept crop and cannot be embedded by model {report.model[:12]}; "
            "the old generation stays active. Erase their subjects and enrol them again in a gallery that keeps crops."
        )
    needed = parse_spec(report.index, report.references).minimum_references
    if report.references < needed:
        say(f"{report.index} needs {needed} references to be trained; until then it searches exactly.")
    show(settings, report.to_json(), [line])
    return BATCH_FAILED if report.failed else 0
