"""What one training run works on, and by what it knows its own files again. No Keras."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from twindex.embedder.model.bundle import Bundle, load_bundle
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.initial.checked_file import check_weights_file
from twindex.embedder.training.recipe.recipe import Recipe
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
        weights: Initial weights: "imagenet", a folded `.npz`, Keras' `.weights.h5`, a bundle's folder, or None for
            random.
        start_at: Name of the stage to begin with, where `weights` are what the stages before it would have made.
    """

    faces: TrainingFaces
    recipe: Recipe
    folder: Path
    teacher: Path | None = None
    weights: str | None = None
    start_at: str | None = None

    @property
    def first_stage(self) -> int:
        """Number of the stage that the run begins with.

        Raises:
            UsageError: There is no such stage, or no weights that the stages before it would have made.
        """
        number = 0 if self.start_at is None else self.recipe.stage_number(self.start_at)
        if number > 0 and self.weights is None:
            raise UsageError(f"Beginning with stage {self.start_at!r} needs --weights: what the stages before it made.")
        return number

    def initial_bundle(self) -> Bundle | None:
        """The bundle whose weights the run begins with, or None where it begins otherwise.

        Raises:
            BundleError: The folder is not a bundle, or is damaged.
            UsageError: Its templates have another length than the recipe's, and no teacher says what the new ones
                should become.
        """
        if self.weights is None or not Path(self.weights).is_dir():
            return None
        bundle = load_bundle(Path(self.weights))
        if bundle.card.dim != self.recipe.dim and (self.teacher is None or self.recipe.initial_share):
            raise UsageError(
                f"The bundle's templates have {bundle.card.dim} values, the recipe's {self.recipe.dim}: name a teacher "
                "to fit the new projection to, with an initial_share of 0, or change the recipe's dim."
            )
        return bundle

    def split(self) -> tuple[Int64, Int64]:
        """Photos to learn from and photos to calibrate on, (n,) int64 each; the same at each call and for every seed.

        A run that starts from another run's bundle must not learn from the people whom that one held out, nor be
        measured on people from whom that one has learned.

        Raises:
            UsageError: There are too few subjects.
        """
        return self.faces.split(self.recipe.held_out, self.recipe.held_out_by)

    def origin(self) -> dict[str, str]:
        """All that the run's result depends on, each as a SHA-256, hex, or a word.

        Raises:
            UsageError: The teacher or the initial weights cannot be read.
            BundleError: The initial weights are a folder that is no bundle.
        """
        return {
            "recipe": self.recipe.digest,
            "photos": self.faces.digest,
            "teacher": self.teacher_sha256(),
            "weights": self.weights_origin(),
            "start": str(self.first_stage),
            **self._whom_it_holds_out(),
        }

    def _whom_it_holds_out(self) -> dict[str, str]:
        """What does not follow from the recipe's digest; for "position" as checkpoints have had it."""
        if self.recipe.held_out_by == "name":
            return {"held_out_by": "name"}
        return {} if self.recipe.seed == 1 else {"held_out": "1"}

    def weights_origin(self) -> str:
        """What the initial weights are: a word, the SHA-256 of a file, or a bundle's fingerprint.

        Raises:
            UsageError: The file cannot be read.
            ForeignFileError: The file is not what its name says, or would run a program; nothing of it is read then.
        """
        if self.weights is None or self.weights == "imagenet":
            return self.weights or _NONE
        bundle = self.initial_bundle()
        if bundle is not None:
            return bundle.card.fingerprint
        if Path(self.weights).exists():
            check_weights_file(Path(self.weights))
        return _file_sha256(Path(self.weights))

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
