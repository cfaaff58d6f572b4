"""`twindex compact`: a fresh snapshot of the index."""

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show


@click.command()
@common_options
@click.pass_context
def compact(context: click.Context) -> None:
    """Write a fresh snapshot of the index, so that the next query opens it without replaying changes."""
    from twindex.gallery.service import Gallery

    settings = settings_of(context)
    with Gallery.open(settings.gallery) as gallery:
        written = gallery.searchable().compact()
    value = {"snapshot": written.file, "bytes": written.length, "references": written.count}
    show(settings, value, [f"{written.file}: {written.count} references, {written.length} bytes"])
