"""`twindex verify`: do two photos show the same person?"""

from pathlib import Path

import click

from twindex.commands.options import common_options, model_option, pre_cropped_option, settings_of
from twindex.commands.terminal import probability_text, say, several_faces, show
from twindex.errors import PhotoError

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
    import numpy as np

    from twindex.embedder.faces.reader import FaceReader
    from twindex.embedder.photos.files import read_photo
    from twindex.gallery.chosen_model import chosen_embedder
    from twindex.scoring import distances

    settings = settings_of(context)
    embedder = chosen_embedder(settings.gallery, model)
    reader = FaceReader()
    samples = []
    for path in (first, second):
        try:
            (sample,) = reader.samples(read_photo(path), str(path), pre_cropped=pre_cropped)
        except PhotoError as error:
            raise PhotoError(error.code, f"{path}: {error}") from error
        if sample.rivals:
            say(f"{several_faces(path, sample.rivals)} compared")
        samples.append(sample)
    templates = embedder.embed_samples(samples)
    distance = float(distances(templates[0], templates[1:])[0])
    card = embedder.card
    probability = float(card.head.probability(np.float64(distance)))
    match = probability >= card.verify_threshold
    decision = "match" if match else "no match"
    value = {"distance": distance, "probability": probability, "decision": decision}
    told = f"probability {probability_text(probability)} (threshold {probability_text(card.verify_threshold)})"
    show(settings, value, [f"{decision}: distance {distance:.3f}, {told}"])
    return 0 if match else 1
