"""`twindex train`: make a model bundle from folders of faces."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click
from click.core import ParameterSource

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import counting, progress, say, show
from twindex.embedder.training.recipe.recipe import PRECISIONS, Recipe, read_recipe
from twindex.embedder.training.recipe.stage import LOSSES, Stage
from twindex.errors import UsageError
from twindex.extras import extra, missing_extra

if TYPE_CHECKING:
    from twindex.embedder.embedder import Embedder
    from twindex.embedder.training.export import HeadPairs
    from twindex.embedder.training.head import PairDistances
    from twindex.embedder.training.run import TrainingRun

BACKENDS = ("tensorflow", "jax", "torch")
EXAMPLES = """\b
Examples:
  twindex train faces/ --output my-model --loss binary_crossentropy
  twindex train faces/ --output my-model --recipe recipes/twindex-112.toml --teacher teacher.onnx
"""


class RecipeOptions(TypedDict):
    """The options that stand for a recipe file."""

    loss: str
    steps: int
    people: int
    photos: int
    learning_rate: float
    input_size: int
    dim: int
    held_out: float
    precision: str
    seed: int


@click.command(epilog=EXAMPLES)
@click.argument("faces", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder of the bundle to write.")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path, exists=True), help="Recipe file (TOML).")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Folder of checkpoint and log (OUTPUT.run).")
@click.option(
    "--align", is_flag=True, help="FACES are photos: find and align their faces first, into the run's folder."
)
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), help="ONNX face model to distil from.")
@click.option(
    "--weights", help='Initial weights: "imagenet", a .npz or .weights.h5 file, or a model; random if not given.'
)
@click.option(
    "--start-at", metavar="STAGE", help="Begin with this stage of the recipe; --weights come from those before."
)
@click.option(
    "--calibrate-on",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Pairs to fit the head on, in the format of Labeled Faces in the Wild, with their photos beside the list; "
    "without it, the subjects held out.",
)
@click.option(
    "--loss",
    type=click.Choice(LOSSES),
    default="binary_crossentropy",
    show_default=True,
    help="Without a recipe: the loss.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=2_000, show_default=True, help="Without a recipe: batches to learn from."
)
@click.option(
    "--people", type=click.IntRange(2), default=16, show_default=True, help="Without a recipe: subjects in a batch."
)
@click.option(
    "--photos",
    type=click.IntRange(2),
    default=4,
    show_default=True,
    help="Without a recipe: photos of each in a batch.",
)
@click.option("--learning-rate", type=float, default=3e-4, show_default=True, help="Without a recipe: its peak.")
@click.option(
    "--input-size",
    type=click.IntRange(75),
    default=224,
    show_default=True,
    help="Without a recipe: edge of the input, pixels.",
)
@click.option(
    "--dim", type=click.IntRange(8), default=128, show_default=True, help="Without a recipe: length of a template."
)
@click.option(
    "--held-out",
    type=float,
    default=0.05,
    show_default=True,
    help="Without a recipe: share of subjects to calibrate on, 2 at least.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Without a recipe: arithmetic; auto is mixed_bfloat16 where the processor computes in it.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Without a recipe: seed of all that is drawn at random, but for who is held out.",
)
@common_options
@click.pass_context
def train(
    context: click.Context,
    /,
    faces: tuple[Path, ...],
    output: Path,
    recipe_file: Path | None,
    run_folder: Path | None,
    align: bool,
    teacher: Path | None,
    weights: str | None,
    start_at: str | None,
    calibrate_on: Path | None,
    **options: Unpack[RecipeOptions],
) -> None:
    """Train the twin on FACES and write a model bundle.

    FACES are folders with one sub-folder per subject, each file one aligned, square face; photos as they are with
    --align. In a folder without sub-folders every photo is of somebody else. A folder with a single photo of each
    subject is learned from a teacher only, never in pairs. A run that was killed resumes from its last checkpoint when
    the same command is given again. KERAS_BACKEND chooses tensorflow (default), jax or torch.
    """
    settings = settings_of(context)
    if output.exists():
        raise UsageError(f"{output} exists already; choose another --output.")
    _refuse_hidden(context, recipe_file, list(options))
    _check_backend()
    recipe = read_recipe(recipe_file) if recipe_file else _recipe(output, options)
    initial = _weights(weights)
    head_pairs = None if calibrate_on is None else _head_pairs(calibrate_on)
    with extra("train"):
        from twindex.embedder.training.twin.backend_start import start_backend

        start_backend()
        from twindex.embedder.training.data.faces import TrainingFaces
        from twindex.embedder.training.export import export_bundle
        from twindex.embedder.training.run import TrainingRun

    folder = run_folder or Path(f"{output}.run")
    crops = [_aligned(root, folder / "crops" / root.resolve().name) for root in faces] if align else faces
    run = TrainingRun(TrainingFaces.scan(*crops), recipe, folder, teacher, initial, start_at)
    say(f"{len(run.faces.paths)} photos of {len(set(run.faces.subjects.tolist()))} subjects")
    card = export_bundle(_learned(run), run, output, head_pairs)
    value = {"bundle": str(output), "model": card.fingerprint, "accuracy": card.accuracy}
    lines = [f"{output}: model {card.fingerprint[:12]}, held-out pairs {100 * card.accuracy['held_out_pairs']:.2f} %"]
    show(settings, value, lines)


def _refuse_hidden(context: click.Context, recipe_file: Path | None, options: list[str]) -> None:
    """Refuse options that a recipe file would hide."""
    given = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if recipe_file and given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{named} would be ignored beside --recipe; change the recipe file instead.")


def _learned(run: "TrainingRun") -> Any:  # a keras.Model, which only embedder/training knows
    """Train, with a progress bar; the branch."""
    from twindex.embedder.training import loop

    recipe = run.recipe
    with progress(sum(stage.steps for stage in recipe.stages), "step", recipe.name) as bar:

        def listen(report: loop.StepReport) -> None:
            before = sum(stage.steps for stage in recipe.stages[: recipe.stage_number(report.stage)])
            bar.set_postfix_str(f"{report.stage} loss {report.loss:.4f}, {report.images_per_second:.0f} images/s")
            bar.update(before + report.step - bar.n)

        return loop.train(run, listen)


def _check_backend() -> None:
    """Refuse to train without Keras or the backend that KERAS_BACKEND names, before any work."""
    backend = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if backend not in BACKENDS:
        raise UsageError(f"KERAS_BACKEND is {backend!r}, expected one of {', '.join(BACKENDS)}.")
    missing = [package for package in ("keras", backend) if find_spec(package) is None]
    if "keras" in missing or "tensorflow" in missing:
        raise missing_extra("train", f"No module named {', '.join(map(repr, missing))}")
    if missing:
        raise UsageError(
            f"KERAS_BACKEND is {backend}, which is not installed: pip install {backend}, or choose another."
        )


def _weights(text: str | None) -> str | None:
    """What a run knows as its initial weights; an installed model's name becomes its folder.

    A file is checked before any work is done.
    """
    if text is not None and Path(text).exists() and not Path(text).is_dir():
        from twindex.embedder.training.initial.checked_file import check_weights_file

        check_weights_file(Path(text))
    if text is None or text == "imagenet" or Path(text).exists():
        return text
    from twindex.embedder.model.registry import find_model

    return str(find_model(text).path)


def _head_pairs(file: Path) -> "HeadPairs":
    """A function that measures the distances of listed pairs as a query would. The list is read at once."""
    import numpy as np

    from twindex.embedder.faces.reader import FaceReader
    from twindex.evaluation.pairs import measure_pairs, photos_of
    from twindex.evaluation.pairs_file import read_pairs
    from twindex.running.pipeline import READERS

    pairs = read_pairs(file, file.parent)

    def measure(embedder: "Embedder") -> "PairDistances":
        with progress(len(photos_of(pairs)), "photo", "calibrate") as bar:
            scores = measure_pairs(pairs, FaceReader.of_many(READERS), embedder, counting(bar)).scores
        mated, non_mated = (
            np.sort(distances[np.isfinite(distances)]).astype(np.float32)
            for distances in (scores.of_mated, scores.of_non_mated)
        )
        return mated, non_mated

    return measure


def _aligned(photos: Path, folder: Path) -> Path:
    """Crops of all photos below a folder of subjects; photos without a usable face are told and left out."""
    from twindex.embedder.faces.reader import FaceReader
    from twindex.jobs.crops import write_crops
    from twindex.jobs.plan import plan_paths
    from twindex.running.pipeline import READERS

    planned = list(plan_paths([photos], None))
    with progress(len(planned), "photo", "align") as bar:

        def listen() -> None:
            bar.update()

        refused = write_crops(planned, FaceReader.of_many(READERS), folder, listen)
    for photo, error in refused:
        say(f"left out {photo.path}: {error.code}: {error}")
    return folder


def _recipe(output: Path, options: RecipeOptions) -> Recipe:
    """A recipe of one stage."""
    stage = Stage(
        options["loss"],
        {options["loss"]: 1.0},
        options["steps"],
        people=options["people"],
        photos=options["photos"],
        learning_rate=options["learning_rate"],
        warmup=min(200, options["steps"] // 10),
    )
    return Recipe(
        _model_name(output),
        (stage,),
        input_size=options["input_size"],
        dim=options["dim"],
        seed=options["seed"],
        held_out=options["held_out"],
        precision=options["precision"],
    )


def _model_name(output: Path) -> str:
    """The folder's name in the characters that a model's name may have."""
    plain = re.sub(r"[^A-Za-z0-9 ._+-]+", "-", output.name)
    return plain.lstrip(" ._+-")[:64] or "model"
