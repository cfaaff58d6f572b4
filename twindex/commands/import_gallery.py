"""`twindex import`: a gallery made from an exported file."""

from pathlib import Path

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show

EXAMPLES = """\b
Examples:
  twindex --gallery restored import backup.twindex
"""


@click.command("import", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--without-model", is_flag=True, help="Take no model from FILE, even if the one it needs is not installed."
)
@common_options
@click.pass_context
def import_gallery(context: click.Context, file: Path, without_model: bool) -> None:
    """Make a gallery from FILE, which `twindex export` wrote, in a folder that does not hold one yet.

    Everything is checked before the gallery appears: a damaged or foreign FILE leaves nothing behind. Exits with 6 if
    FILE is refused, and with 5 if the gallery's model is not installed.
    """
    from twindex.archive.importing import import_gallery as make

    settings = settings_of(context)
    made = make(file, settings.gallery, without_model=without_model)
    contents = made.manifest.summary
    value = {
        "gallery": str(made.gallery),
        "gallery_id": contents.gallery_id,
        "revision": contents.revision,
        "subjects": contents.subjects,
        "references": contents.references,
        "model": contents.model,
        "model_installed": made.model_installed,
    }
    lines = [f"{made.gallery}: {contents.subjects} subjects, {contents.references} references"]
    if made.model_installed:
        lines.append(f"The model {contents.model} was installed with it.")
    show(settings, value, lines)
