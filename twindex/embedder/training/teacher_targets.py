"""The teacher's embeddings of all clean photos of a run, computed once and kept in its folder."""

import json
from dataclasses import asdict

import numpy as np

from twindex.embedder.training.data.teacher import SIZE, Teach, load_teacher
from twindex.embedder.training.run import TrainingRun
from twindex.embedder.training.run_file import read_arrays, read_metadata, write_run_file
from twindex.errors import UsageError
from twindex.types import Float32

_AT_ONCE = 64


def run_teacher(run: TrainingRun) -> Teach:
    """The run's teacher.

    Raises:
        UsageError: There is none.
    """
    if run.teacher is None:
        raise UsageError("The recipe distils from a teacher: name an ONNX face model with --teacher.")
    return load_teacher(run.teacher, run.recipe.teacher, run.recipe.dim)


def teacher_targets(run: TrainingRun) -> Float32:
    """What the student's templates should become, from `targets.safetensors` (`run_file.py`) if it is there.

    Returns:
        (photos, dim) float32, unit length; zeros where no stage from the run's first on learns from clean targets.

    Raises:
        UsageError: There is no teacher, its embedding has another length, or the kept ones are of other photos, another
            teacher or another preprocessing.
        IntegrityError: The kept ones are damaged.
    """
    photos, recipe = len(run.faces.paths), run.recipe
    if not any(stage.distils and not stage.varied_targets for stage in recipe.stages[run.first_stage :]):
        return np.zeros((photos, recipe.dim), np.float32)
    teach = run_teacher(run)
    kept = run.folder / "targets.safetensors"
    origin = {
        "photos": run.faces.digest,
        "teacher": run.teacher_sha256(),
        "pixels": json.dumps(asdict(recipe.teacher), sort_keys=True),
        "dim": str(recipe.dim),
    }
    if kept.is_file():
        read_metadata(kept, origin)
        embeddings: Float32 = read_arrays(kept)["targets"]
        return embeddings
    pieces = [np.arange(start, min(start + _AT_ONCE, photos)) for start in range(0, photos, _AT_ONCE)]
    targets = np.concatenate([teach(run.faces.clean(piece, SIZE)) for piece in pieces])
    write_run_file(kept, {"targets": targets}, origin)
    return targets
