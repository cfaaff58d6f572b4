"""`twindex verify`: do two photos show the same person?"""

from pathlib import Path

import click

from twindex.commands.options import common_options, model_option, pre_cropped_option, settings_of
from twindex.commands.terminal import probability_text, say, several_faces, show

EXAMPLES = """\b
Example:
  twindex verify passport.jpg selfie.jpg
"""


@click.command(epilog=EXAMPLES)
@click.argument("first", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("second", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@pre_cropped_option
@common_options
@click.pass_context
def verify(context: click.Context, first: Path, second: Path, model: str | None, pre_cropped: bool) -> int:
    """Compare the most prominent faces of two photos through the twin. No gallery is needed.

    Exits with 0 for a match, 1 for no match, 3 when a photo has no usable face.
    """
    from twindex.embedder.faces.reader import FaceReader
    from twindex.gallery.chosen_model import chosen_embedder
    from twindex.gallery.verification import compare

    settings = settings_of(context)
    embedder = chosen_embedder(settings.gallery, model)
    found = compare(embedder, FaceReader(), first, second, pre_cropped=pre_cropped)
    for path, rivals in zip((first, second), found.rivals, strict=True):
        if rivals:
            say(f"{several_faces(path, rivals)} compared")
    decision = "match" if found.match else "no match"
    told = f"probability {probability_text(found.probability)} (threshold {probability_text(found.threshold)})"
    show(settings, found.to_json(), [f"{decision}: distance {found.distance:.3f}, {told}"])
    return 0 if found.match else 1
