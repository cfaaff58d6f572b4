"""`twindex demo`: the main job on people who do not exist."""

from pathlib import Path

import click
from click.core import ParameterSource

import twindex
from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import probability_text, progress, say, show, table


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("twindex-demo"),
    show_default=True,
    help="Folder for the picture, and for the demo's gallery where --gallery names none.",
)
@common_options
@click.pass_context
def demo(context: click.Context, output: Path) -> None:
    """Enrol the people that ship with the project, query new photos of them and of strangers, and draw an answer.

    None of the people exists: their faces were drawn from a statistical model. They are enrolled in a gallery of their
    own, or in the one that --gallery names.
    """
    from twindex.commands.picture import draw_answer
    from twindex.demo.run import GROUP_PHOTO, enrol_people, query_people

    contexts = (context, context.find_root())
    named = any(one.get_parameter_source("gallery") is ParameterSource.COMMANDLINE for one in contexts)
    folder = settings_of(context).gallery if named else output / "gallery"
    output.mkdir(parents=True, exist_ok=True)
    with twindex.open(folder) as gallery:
        with progress(0, "photo", "enrol") as bar:

            def listen(_: object) -> None:
                bar.update()

            enrol_people(gallery, listen)
        subjects = gallery.subjects()
        say(f"{sum(subject.references for subject in subjects)} photos of {len(subjects)} people are enrolled")
        answers = query_people(gallery)
        group = gallery.identify(GROUP_PHOTO, all_faces=True, top=3)
        picture = output / "group.png"
        draw_answer(GROUP_PHOTO.read_bytes(), group, gallery.service).save(picture, "PNG")
    right = sum(one.right for one in answers)
    rows = [
        (
            one.photo,
            one.truth,
            one.answer.name,
            one.answer.candidates[0].subject,
            f"{one.answer.candidates[0].distance:.3f}",
            probability_text(one.answer.candidates[0].probability),
            "yes" if one.right else "no",
        )
        for one in answers
    ]
    value = {
        "queries": len(answers),
        "right": right,
        "picture": str(picture),
        "answers": [{"photo": one.photo, "truth": one.truth, **one.answer.to_json()} for one in answers],
    }
    lines = table(("photo", "shows", "answer", "nearest", "distance", "probability", "right"), rows)
    lines += ["", f"{right} of {len(answers)} answers are right. Four faces in one photo: {picture}"]
    show(settings_of(context), value, lines)
