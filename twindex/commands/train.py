"""`twindex train`: make a model bundle from folders of faces."""

import os
from pathlib import Path

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import progress, say, show
from twindex.embedder.recipe import LOSSES, PRECISIONS, Recipe, Stage, read_recipe
from twindex.errors import UsageError

EXAMPLES = """\b
Examples:
  twindex train faces/ --output my-model --loss binary_crossentropy
  twindex train faces/ --output my-model --recipe recipes/distil.toml --teacher teacher.onnx
"""


@click.command(epilog=EXAMPLES)
@click.argument("faces", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder of the bundle to write.")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path, exists=True), help="Recipe file (TOML).")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Folder of checkpoint and log (OUTPUT.run).")
@click.option(
    "--align", is_flag=True, help="FACES are photos: find and align their faces first, into the run's folder."
)
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), help="ONNX face model to distil from.")
@click.option("--weights", help='Initial weights: "imagenet", or a .npz or .weights.h5 file; random if not given.')
@click.option("--loss", type=click.Choice(LOSSES), default="binary_crossentropy", help="Without a recipe: the loss.")
@click.option("--steps", type=click.IntRange(1), default=2_000, help="Without a recipe: batches to learn from.")
@click.option("--people", type=click.IntRange(2), default=16, help="Without a recipe: subjects in a batch.")
@click.option("--photos", type=click.IntRange(2), default=4, help="Without a recipe: photos of each in a batch.")
@click.option("--learning-rate", type=float, default=3e-4, help="Without a recipe: its peak.")
@click.option("--input-size", type=click.IntRange(75), default=224, help="Without a recipe: edge of the input, pixels.")
@click.option("--dim", type=click.IntRange(8), default=128, help="Without a recipe: length of a template.")
@click.option("--held-out", type=float, default=0.05, help="Without a recipe: share of subjects to calibrate on.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", help="Without a recipe: arithmetic.")
@click.option("--seed", type=int, default=1, help="Without a recipe: seed of all that is drawn at random.")
@common_options
@click.pass_context
def train(
    context: click.Context,
    /,
    faces: Path,
    output: Path,
    recipe_file: Path | None,
    run_folder: Path | None,
    align: bool,
    teacher: Path | None,
    weights: str | None,
    **options: object,
) -> None:
    """Train the twin on FACES and write a model bundle.

    FACES has one sub-folder per subject, each file one aligned, square face; photos as they are with --align. A run
    that was killed goes on from its last checkpoint when the same command is given again. KERAS_BACKEND chooses
    tensorflow (default), jax or torch.
    """
    settings = settings_of(context)
    if output.exists():
        raise UsageError(f"{output} exists already; choose another --output.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    recipe = read_recipe(recipe_file) if recipe_file else _recipe(output.name, options)
    from twindex.embedder.export import export_bundle
    from twindex.embedder.training import StepReport, TrainingRun
    from twindex.embedder.training import train as train_twin
    from twindex.embedder.training_faces import TrainingFaces

    folder = run_folder or Path(f"{output}.run")
    crops = _aligned(faces, folder / "crops") if align else faces
    run = TrainingRun(TrainingFaces.scan(crops), recipe, folder, teacher, weights)
    say(f"{len(run.faces.paths)} photos of {len(set(run.faces.subjects.tolist()))} subjects")
    total = sum(stage.steps for stage in recipe.stages)
    with progress(total, "step", recipe.name) as bar:

        def listen(report: StepReport) -> None:
            before = sum(s.steps for s in recipe.stages[: [s.name for s in recipe.stages].index(report.stage)])
            bar.set_postfix_str(f"{report.stage} loss {report.loss:.4f}, {report.images_per_second:.0f} images/s")
            bar.update(before + report.step - bar.n)

        trained = train_twin(run, listen)
    card = export_bundle(trained, run, output)
    value = {"bundle": str(output), "model": card.fingerprint, "accuracy": card.accuracy}
    lines = [f"{output}: model {card.fingerprint[:12]}, held-out pairs {100 * card.accuracy['held_out_pairs']:.2f} %"]
    show(settings, value, lines)


def _aligned(photos: Path, folder: Path) -> Path:
    """Crops of all photos below a folder of subjects; photos without a usable face are told and left out."""
    from twindex.embedder.faces import FaceReader
    from twindex.jobs.crops import write_crops
    from twindex.jobs.plan import plan_paths

    planned = list(plan_paths([photos], None))
    with progress(len(planned), "photo", "align") as bar:

        def listen() -> None:
            bar.update()

        refused = write_crops(planned, FaceReader(), folder, listen)
    for photo, error in refused:
        say(f"left out {photo.path}: {error.code}: {error}")
    return folder


def _recipe(name: str, options: dict[str, object]) -> Recipe:
    stage_keys = ("steps", "people", "photos", "learning_rate")
    shared = {key: options[key] for key in options if key not in (*stage_keys, "loss")}
    stage = {key: options[key] for key in stage_keys}
    stage["warmup"] = min(200, int(str(options["steps"])) // 10)
    return Recipe(name, (Stage(str(options["loss"]), {str(options["loss"]): 1.0}, **stage),), **shared)  # type: ignore[arg-type]
