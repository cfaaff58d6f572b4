"""`twindex query`: who is in a photo?"""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twindex.commands.options import common_options, pre_cropped_option, settings_of
from twindex.commands.terminal import emit, printable, probability_text, say, several_faces, table
from twindex.config import TOP
from twindex.errors import PhotoError, UsageError

if TYPE_CHECKING:
    from twindex.embedder.faces.reader import FaceReader

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
    # One that is missing among others is the failure of one probe.
    if not any(image.exists() for image in images):
        raise UsageError(f"{images[0]} does not exist.")
    if all(image.is_dir() for image in images):
        raise UsageError(f"{images[0]} is a folder; name photos.")
    if picture is not None:
        _check_picture(picture, images[0], settings.gallery)
    # The detector loads beside the database, the model beside the first photo's detection.
    loading = context.with_resource(ThreadPoolExecutor(2))
    detector = loading.submit(_ready_reader, pre_cropped)
    from twindex.embedder.photos.files import read_photo
    from twindex.gallery import Gallery
    from twindex.gallery.threshold.age import threshold_age

    import_module("twindex.gallery.search.candidates")  # FAISS, while the detector loads
    status = 0
    with Gallery.open(settings.gallery, read_only=True) as gallery:
        # What is wrong with the model is raised when it embeds.
        loading.submit(gallery.embedder(gallery.active().fingerprint).prepare)
        if not gallery.subject_count():
            say("The gallery is empty: everybody is unknown. Enrol people with `twindex enroll`.")
        elif note := threshold_age(gallery).note:
            say(note)
        reader = detector.result()
        for image in images:
            data = b""
            try:
                data = read_photo(image)
                samples = reader.samples(data, str(image), pre_cropped=pre_cropped, all_faces=all_faces)
            except PhotoError as error:
                failure = (error.code, str(error))
                answer = gallery.answer(str(image), (), top, failure)
                say(f"{image}: {error}")
            else:
                if not all_faces and (rivals := samples[0].rivals):
                    say(f"{several_faces(image, rivals)} searched (--all-faces searches every one)")
                answer = gallery.answer(str(image), samples, top)
            status = max(status, _status(answer))
            if settings.json:
                emit(answer.to_json())
            else:
                _print(answer)
            if picture is not None and answer.error is None:
                from twindex.commands.picture import draw_answer

                draw_answer(data, answer, gallery, pre_cropped=pre_cropped).save(picture, "PNG")
    return status


def _check_picture(picture: Path, image: Path, gallery: Path) -> None:
    """Refuse a place for the picture where it cannot, or must not, be written, before anything is searched."""
    from twindex.files.export_target import refuse_inside

    if picture.is_dir() or not picture.absolute().parent.is_dir():
        raise UsageError(f"--picture {picture} cannot be written: name a file in a folder that exists.")
    if picture.exists() and picture.samefile(image):
        raise UsageError(f"--picture {picture} is the probe itself; name another file.")
    refuse_inside(picture, gallery, f"--picture {picture}", "name a file elsewhere")


def _ready_reader(pre_cropped: bool) -> "FaceReader":
    """A `FaceReader`, its detector loaded if it will be needed."""
    from twindex.embedder.faces.reader import FaceReader

    reader = FaceReader()
    if not pre_cropped:
        reader.prepare()
    return reader


def _status(answer: Any) -> int:
    if answer.error is not None:
        return NO_FACE
    return 0 if all(face.decision == "match" for face in answer.faces) else UNKNOWN


def _print(answer: Any) -> None:
    if answer.error is not None:
        click.echo(printable(f"{answer.probe}: no usable face ({answer.error[0]})"))
    for number, face in enumerate(answer.faces, 1):
        which = f", face {number}" if len(answer.faces) > 1 else ""
        click.echo(printable(f"{answer.probe}{which}: {face.name} (threshold {probability_text(face.threshold)})"))
        rows = [
            (one.rank, one.subject, f"{one.distance:.3f}", probability_text(one.probability), one.reference)
            for one in face.candidates
        ]
        for line in table(("rank", "subject", "distance", "probability", "reference"), rows):
            click.echo("  " + line)
