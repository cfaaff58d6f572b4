"""The teacher's embeddings of all photos of a run, computed once and kept in its folder."""

import json
from dataclasses import asdict

import numpy as np

from twindex.embedder.run_file import read_arrays, read_metadata, write_run_file
from twindex.embedder.teacher import SIZE, teacher_embeddings
from twindex.embedder.training_run import TrainingRun
from twindex.errors import UsageError
from twindex.types import Float32

_AT_ONCE = 64


def teacher_targets(run: TrainingRun) -> Float32:
    """What the student's templates should become, from `targets.safetensors` (`run_file.py`) if it is there.

    Returns:
        (photos, dim) float32, unit length; zeros where the recipe does not distil.

    Raises:
        UsageError: There is no teacher, its embedding has another length, or the kept ones are of other photos, another
            teacher or another preprocessing.
        IntegrityError: The kept ones are damaged.
    """
    photos, recipe = len(run.faces.paths), run.recipe
    if not recipe.needs_teacher:
        return np.zeros((photos, recipe.dim), np.float32)
    if run.teacher is None:
        raise UsageError("The recipe distils from a teacher: name an ONNX face model with --teacher.")
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
    crops = (run.faces.clean(piece, SIZE) for piece in pieces)
    targets = np.concatenate(list(teacher_embeddings(run.teacher, crops, recipe.teacher, recipe.dim)))
    write_run_file(kept, {"targets": targets}, origin)
    return targets
