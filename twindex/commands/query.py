"""`twindex query`: who is in a photo?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

import twindex
from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import emit, printable, probability_text, say, several_faces, table
from twindex.config import TOP
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.gallery.answers import ProbeAnswer

UNKNOWN, NO_FACE = 1, 3
EXAMPLES = """\b
Examples:
  twindex query visitor.jpg
  twindex query party.jpg --all-faces --picture answer.png
  twindex --json query *.jpg | jq .faces[0].decision
"""


@click.command(epilog=EXAMPLES)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--top", type=click.IntRange(1), default=TOP, show_default=True, help="Subjects in a candidate list.")
@click.option("--all-faces", is_flag=True, help="Search every face, not only the most prominent one.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw probe and candidates into this PNG file.")
@pre_cropped_option
@common_options
@click.pass_context
def query(
    context: click.Context,
    images: tuple[Path, ...],
    top: int,
    all_faces: bool,
    picture: Path | None,
    pre_cropped: bool,
) -> int:
    """Find out who is in each of IMAGES: the nearest subjects, and a match or "unknown".

    Exits with 0 when every face searched is a match, 1 when one is unknown, 3 when a photo has no usable face.
    """
    settings = settings_of(context)
    if picture is not None and len(images) > 1:
        raise UsageError("--picture draws one probe: name one image.")
    # A missing file among several fails only its own probe.
    if not any(image.exists() for image in images):
        raise UsageError(f"{images[0]} does not exist.")
    if all(image.is_dir() for image in images):
        raise UsageError(f"{images[0]} is a folder; name photos.")
    if picture is not None:
        _check_picture(picture, images[0], settings.gallery)
    with twindex.open(settings.gallery, read_only=True, prepare=not pre_cropped) as gallery:
        gallery.prepare()
        _introduce(gallery)
        status = 0
        for image in images:
            answer = gallery.identify(image, all_faces=all_faces, top=top, pre_cropped=pre_cropped)
            status = max(status, _status(answer))
            _tell(image, answer)
            if settings.json:
                emit(answer.to_json())
            else:
                _print(answer)
            if picture is not None and answer.error is None:
                from twindex.commands.picture import draw_answer
                from twindex.embedder.photos.files import read_photo

                draw_answer(read_photo(image), answer, gallery.service, pre_cropped=pre_cropped).save(picture, "PNG")
    return status


def _introduce(gallery: "twindex.Gallery") -> None:
    """Say that the gallery is empty, or that its threshold does not fit."""
    from twindex.gallery.threshold.age import threshold_age

    if not gallery.service.subject_count():
        say("The gallery is empty: everybody is unknown. Enrol people with `twindex enroll`.")
    elif note := threshold_age(gallery.service).note:
        say(note)


def _tell(image: Path, answer: "ProbeAnswer") -> None:
    """Say what is wrong with a photo, or that it may be meant to show somebody else."""
    if answer.error is not None:
        say(f"{image}: {answer.error}")
    elif answer.rivals:
        say(f"{several_faces(image, answer.rivals)} searched (--all-faces searches every one)")


def _check_picture(picture: Path, image: Path, gallery: Path) -> None:
    """Refuse a place for the picture where it cannot, or must not, be written, before anything is searched."""
    from twindex.files.export_target import refuse_inside

    if picture.is_dir() or not picture.absolute().parent.is_dir():
        raise UsageError(f"--picture {picture} cannot be written: name a file in a folder that exists.")
    if picture.exists() and picture.samefile(image):
        raise UsageError(f"--picture {picture} is the probe itself; name another file.")
    refuse_inside(picture, gallery, f"--picture {picture}", "name a file elsewhere")


def _status(answer: "ProbeAnswer") -> int:
    if answer.error is not None:
        return NO_FACE
    return 0 if all(face.decision == "match" for face in answer.faces) else UNKNOWN


def _print(answer: "ProbeAnswer") -> None:
    if answer.error is not None:
        click.echo(printable(f"{answer.probe}: no usable face ({answer.error.code})"))
    for number, face in enumerate(answer.faces, 1):
        which = f", face {number}" if len(answer.faces) > 1 else ""
        click.echo(printable(f"{answer.probe}{which}: {face.name} (threshold {probability_text(face.threshold)})"))
        rows = [
            (
                candidate.rank,
                candidate.subject,
                f"{candidate.distance:.3f}",
                probability_text(candidate.probability),
                candidate.reference,
            )
            for candidate in face.candidates
        ]
        for line in table(("rank", "subject", "distance", "probability", "reference"), rows):
            click.echo("  " + line)
