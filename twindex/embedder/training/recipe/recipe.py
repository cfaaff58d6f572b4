"""A training recipe: what `twindex train` does, as a TOML file or as options. Plain values, no Keras."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from twindex.embedder.model.card import ALIGNMENTS, Card
from twindex.embedder.model.inception import SMALLEST_SIDE
from twindex.embedder.training.recipe.stage import Augmentation, Stage
from twindex.embedder.training.recipe.typed_fields import refuse_wrong_kinds
from twindex.errors import BundleError, UsageError

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
HeldOutBy = Literal["name", "position"]
TeacherPrecision = Literal["auto", "float32", "bfloat16"]
_NOT_LEARNED = ("name", "data", "terms", "held_out_by")  # a run's origin has the last


@dataclass(frozen=True)
class Teacher:
    """How an ONNX teacher wants its pixels: (pixel / 255 - mean) / std, RGB; the default is ImageNet's.

    Attributes:
        mean, std: Of the pixels, by channel.
        precision: Of its arithmetic; "auto" is bfloat16 where the processor computes in it, else float32.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    precision: TeacherPrecision = "float32"

    def __post_init__(self) -> None:
        refuse_wrong_kinds(self, "A teacher")
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if min(self.std) <= 0:
            raise UsageError(f"Expected three numbers for a teacher's mean and three above 0 for its std; got {self}.")


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run besides the photos and the initial weights.

    Attributes:
        name: The model's, as its card allows it.
        held_out: Share of the subjects that are not learned from but calibrated on; at least two are. The seed does not
            change who they are.
        held_out_by: "name" holds out the same people when others are added to the folder; "position" is how those of
            the shipped model were chosen, for runs that go on from it with its photos.
        precision: Of the arithmetic; "auto" is mixed_bfloat16 where the processor computes in it, else float32.
        mirror: Whether the model sums the templates of an image and its mirror image.
        initial_share: Of the initial bundle's weights in the mean with the trained ones that becomes the model
            (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022); 0 takes the trained ones alone.
        folders: How often a photo of each folder of faces, by its name, comes in a pass over all photos; 1 where
            nothing is said. Batches of pairs do not heed it.
        data, terms: Texts for the card.

    Raises:
        UsageError: A value is out of range, or would not make a valid card.
    """

    name: str
    stages: tuple[Stage, ...]
    input_size: int = 112
    dim: int = 128
    seed: int = 1
    held_out: float = 0.05
    held_out_by: HeldOutBy = "name"
    precision: str = "auto"
    mirror: bool = True
    initial_share: float = 0.0
    teacher: Teacher = field(default_factory=Teacher)
    folders: dict[str, float] = field(default_factory=dict)
    data: str = ""
    terms: str = ""

    def __post_init__(self) -> None:
        refuse_wrong_kinds(self, "The recipe")
        if not self.stages:
            raise UsageError("A recipe needs at least one stage.")
        if self.input_size < SMALLEST_SIDE or self.dim < 8:
            raise UsageError(
                f"Expected input_size >= {SMALLEST_SIDE} and dim >= 8, got {self.input_size} and {self.dim}."
            )
        if not 0 < self.held_out < 1 or self.precision not in PRECISIONS:
            raise UsageError(
                f"Expected held_out between 0 and 1 and a precision of {PRECISIONS}, got {self.held_out} and "
                f"{self.precision!r}."
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"Expected a seed from 0 to {2**32 - 1}, got {self.seed}.")
        if not 0 <= self.initial_share < 1:
            raise UsageError(f"Expected initial_share from 0 to below 1, got {self.initial_share}.")
        if not all(weight > 0 for weight in self.folders.values()):
            raise UsageError(f"Expected weights of folders above 0, got {self.folders}.")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise UsageError(f"Expected stages of different names, got {names}.")
        # A card is made after hours of training, so what it would refuse is refused here, by its own rules.
        try:
            Card.from_json(self.draft_card().to_json())
        except BundleError as error:
            raise UsageError(f"The recipe {self.name!r} cannot become a model; correct its value. {error}") from error

    @property
    def digest(self) -> str:
        """SHA-256 over all of the recipe that changes what is learned, by which a checkpoint knows its recipe."""
        values = {key: value for key, value in asdict(self).items() if key not in _NOT_LEARNED}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def draft_card(self) -> Card:
        """The card of the model before it is measured: head and thresholds only hold the place of measured ones."""
        return Card(
            name=self.name,
            input_shape=(self.input_size, self.input_size, 3),
            dim=self.dim,
            mirror=self.mirror,
            alignment=ALIGNMENTS[0],
            head_weight=-1.0,
            head_bias=0.0,
            thresholds=(),
            verify_threshold=0.5,
            training={
                "data": self.data or "see the run's log",
                "recipe_sha256": self.digest,
                "stages": [stage.name for stage in self.stages],
                "steps": sum(stage.steps for stage in self.stages),
                "seed": self.seed,
                "held_out": self.held_out,
                "held_out_by": self.held_out_by,
            },
            accuracy={},
            versions={},
            terms=self.terms or "Terms of the training data apply.",
            weights_sha256="",
        )

    def input_size_of(self, number: int) -> int:
        """Edge of the input in a stage, pixels."""
        return self.stages[number].input_size or self.input_size

    def stage_number(self, name: str) -> int:
        """Number of the stage of a name.

        Raises:
            UsageError: There is none.
        """
        names = [stage.name for stage in self.stages]
        if name not in names:
            raise UsageError(f"The recipe has no stage {name!r}; its stages are {', '.join(names)}.")
        return names.index(name)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        UsageError: The file is not TOML, or a key or a value is not a recipe's.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Cannot read the recipe {path.name}: {error}.") from error
    return recipe_from(values)


def recipe_from(values: dict[str, Any]) -> Recipe:
    """A recipe from nested plain values, as TOML gives them.

    Raises:
        UsageError: A key or a value is not a recipe's.
    """
    plain = dict(values)
    try:
        stages = tuple(_stage(stage) for stage in plain.pop("stages", []))
        teacher = Teacher(**plain.pop("teacher", {}))
        return Recipe(stages=stages, teacher=teacher, **plain)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"The recipe has a key or a value that does not belong there: {error}.") from error


def _stage(values: dict[str, Any]) -> Stage:
    plain = dict(values)
    augmentation = Augmentation(**plain.pop("augmentation", {}))
    return Stage(augmentation=augmentation, **plain)
