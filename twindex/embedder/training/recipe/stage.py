"""One stage of a training recipe: which losses, which batches, how long, how fast. Plain values, no Keras."""

from dataclasses import dataclass, field

from twindex.embedder.model.inception import SMALLEST_SIDE, kernel_shapes
from twindex.embedder.training.recipe.typed_fields import refuse_wrong_kinds
from twindex.errors import UsageError

LOSSES = ("distillation", "binary_crossentropy", "contrastive", "triplet")


@dataclass(frozen=True)
class Augmentation:
    """How a training crop is varied: ranges are drawn uniformly.

    Attributes:
        scale: (lowest, highest) zoom.
        shift: Largest shift in each direction, as a share of the crop.
        light: Largest change of brightness and of contrast, as a share.
        grey: Share of the photos shown in grey.
        flip: Whether half of the photos are mirrored.
        occlusion: Share of the photos on which a rectangle is covered.
        bend: Largest shift in each direction, as a share of the crop, of each knot of a net over the face; what lies
            between is bent evenly (elastic deformation). It makes other people's faces.
    """

    scale: tuple[float, float] = (0.94, 1.10)
    shift: float = 0.04
    light: float = 0.25
    grey: float = 0.1
    flip: bool = True
    occlusion: float = 0.0
    bend: float = 0.0

    def __post_init__(self) -> None:
        refuse_wrong_kinds(self, "An augmentation")
        low, high = self.scale
        if (
            not 0.5 <= low <= high <= 2
            or not 0 <= self.shift < 0.5
            or not 0 <= self.bend <= 0.1
            or not all(0 <= share <= 1 for share in (self.light, self.grey, self.occlusion))
        ):
            raise UsageError(
                "Expected an augmentation with a scale from 0.5 to 2, shift below 0.5, bend up to 0.1, light, grey and "
                f"occlusion from 0 to 1; got {self}."
            )
        object.__setattr__(self, "scale", (float(low), float(high)))


@dataclass(frozen=True)
class Stage:
    """One stage of training: which losses, which batches, how long, how fast.

    Attributes:
        losses: Weight of each loss; names from `LOSSES`.
        steps: Number of batches.
        people, photos: A batch holds `people` subjects with `photos` photos each; `people` = 0 means `photos`
            photos drawn from all alike.
        learning_rate: Peak of AdamW's, after `warmup` steps; it decays along a cosine to `final_learning_rate`.
        input_size: Edge of this stage's input, pixels, where it is not the recipe's (progressive sizes).
        varied_targets: Whether the teacher embeds each photo as it was varied, at every step, instead of once and clean
            (L. Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022).
        mixed: Share of the photos that another one of the batch shows through, for a teacher that sees them so.
        composed: Share of the photos parts of which are another one's, for such a teacher.
        frozen: How many convolutions, from the first, keep their weights and normalise as in inference; the first 5,
            the stem, take a third of a step's time.
    """

    name: str
    losses: dict[str, float]
    steps: int
    people: int = 0
    photos: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0
    warmup: int = 200
    input_size: int | None = None
    weight_decay: float = 0.01
    varied_targets: bool = False
    mixed: float = 0.0
    composed: float = 0.0
    frozen: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        refuse_wrong_kinds(self, f"Stage {self.name!r}")
        for message in (self._wrong_losses(), self._wrong_pace(), self._wrong_batches(), self._wrong_targets()):
            if message:
                raise UsageError(f"Stage {self.name!r}{message}")

    def _wrong_losses(self) -> str:
        if set(self.losses) - set(LOSSES) or not self.losses:
            return f": expected one or more losses of {LOSSES}, got {sorted(self.losses)}."
        if not all(weight > 0 for weight in self.losses.values()):
            return f": expected weights of losses above 0, got {self.losses}."
        return ""

    def _wrong_pace(self) -> str:
        """What is wrong with steps, learning rates and decay, or nothing."""
        if self.weight_decay < 0:
            return f": expected weight_decay of 0 or more, got {self.weight_decay}."
        if self.warmup < 0 or self.warmup >= self.steps > 1:
            return (
                f": expected a warmup from 0 to below the stage's {self.steps} steps, since the rate decays after it; "
                f"got {self.warmup}."
            )
        if self.steps < 1 or self.photos < 1 or self.people < 0 or self.learning_rate <= 0:
            return (
                f": steps, photos and learning_rate must be positive and people not negative; got {self.steps}, "
                f"{self.photos}, {self.learning_rate} and {self.people}."
            )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            return ": final_learning_rate must be from 0 to learning_rate."
        return ""

    def _wrong_batches(self) -> str:
        """What is wrong with what a batch holds and how much of the network learns from it, or nothing."""
        if self.input_size is not None and self.input_size < SMALLEST_SIDE:
            return f": expected input_size >= {SMALLEST_SIDE}, got {self.input_size}."
        if set(self.losses) != {"distillation"} and not (self.people > 1 and self.photos > 1):
            return " learns from pairs: it needs people and photos of at least 2 each."
        if not 0 <= self.frozen <= (count := len(kernel_shapes())):
            return f": expected frozen from 0 to {count}, got {self.frozen}."
        for name, share in (("mixed", self.mixed), ("composed", self.composed)):
            if not 0 <= share <= 1:
                return f": expected {name} from 0 to 1, got {share}."
        return ""

    def _wrong_targets(self) -> str:
        """What the stage does to photos that its teacher would have to see, or nothing."""
        if self.varied_targets and not self.distils:
            return " has varied_targets, but no distillation loss to use them."
        if (self.mixed or self.composed) and not (self.varied_targets and set(self.losses) == {"distillation"}):
            return (
                " mixes photos, which then show nobody: only a teacher that sees them mixed (varied_targets, the "
                "distillation loss alone) can say what to learn from them."
            )
        if self.augmentation.bend and self.distils and not self.varied_targets:
            return " bends faces into other people's: its teacher must see them so (varied_targets)."
        return ""

    @property
    def batch_size(self) -> int:
        return max(self.people, 1) * self.photos

    @property
    def distils(self) -> bool:
        return "distillation" in self.losses
