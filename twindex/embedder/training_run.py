"""What one training run works on, and by what it knows its own files again. No Keras."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from twindex.embedder.recipe import Recipe
from twindex.embedder.training_faces import TrainingFaces
from twindex.errors import UsageError
from twindex.types import Int64

_NONE = "none"


@dataclass(frozen=True)
class TrainingRun:
    """What one `twindex train` works on.

    Attributes:
        faces: The photos.
        recipe: What to do with them.
        folder: Where checkpoint, teacher's embeddings and log are kept; an existing checkpoint is resumed.
        teacher: ONNX file to distil from, or None.
        weights: Initial weights: "imagenet", a folded `.npz`, Keras' `.weights.h5`, or None for random.
    """

    faces: TrainingFaces
    recipe: Recipe
    folder: Path
    teacher: Path | None = None
    weights: str | None = None

    def split(self) -> tuple[Int64, Int64]:
        """Photos to learn from and photos to calibrate on, (n,) int64 each; the same at each call.

        Raises:
            UsageError: There are too few subjects.
        """
        return self.faces.split(self.recipe.held_out, self.recipe.seed)

    def origin(self) -> dict[str, str]:
        """All that the run's result depends on, each as a SHA-256, hex, or a word.

        Raises:
            UsageError: The teacher or the initial weights cannot be read.
        """
        weights = self.weights or _NONE
        return {
            "recipe": self.recipe.digest,
            "photos": self.faces.digest,
            "teacher": self.teacher_sha256(),
            "weights": weights if weights in (_NONE, "imagenet") else _file_sha256(Path(weights)),
        }

    def teacher_sha256(self) -> str:
        """SHA-256, hex, of the teacher's file, or "none".

        Raises:
            UsageError: The file cannot be read.
        """
        return _NONE if self.teacher is None else _file_sha256(self.teacher)


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
