"""`twindex export`: the gallery as one portable file."""

from pathlib import Path

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import say, show

EXAMPLES = """\b
Examples:
  twindex export backup.twindex
  twindex export for-the-other-office.twindex --with-model
"""


@click.command("export", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-model", is_flag=True, help="Include the model; otherwise only its fingerprint is stored.")
@common_options
@click.pass_context
def export_gallery(context: click.Context, file: Path, with_model: bool) -> None:
    """Write the whole gallery to FILE, while others keep enrolling and searching.

    FILE holds faces and templates of everybody enrolled: guard it as carefully as their photos. An erasure does not
    reach it.
    """
    from twindex.archive.exporting import export_gallery as write

    settings = settings_of(context)
    written = write(settings.gallery, file, with_model=with_model)
    contents = written.manifest.summary
    value = {
        "archive": str(written.path),
        "bytes": written.length,
        "gallery_id": contents.gallery_id,
        "revision": contents.revision,
        "subjects": contents.subjects,
        "references": contents.references,
        "model": contents.model,
        "with_model": written.manifest.holds_model,
        "audited": written.audited,
    }
    people = f"{contents.subjects} subjects, {contents.references} references"
    show(settings, value, [f"{written.path}: {people}, {written.length} bytes"])
    if not written.audited:
        say("The gallery is read-only, so its audit does not list this export.")
