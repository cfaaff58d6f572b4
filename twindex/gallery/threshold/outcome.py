"""What a calibration found: the threshold, its error rates, and the strangers who come near."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twindex.evaluation.metrics.conformal import OperatingPoint, strangers_needed
from twindex.evaluation.metrics.rates import Interval

Method = Literal["non-mated", "leave-one-subject-out"]


@dataclass(frozen=True)
class Resemblance:
    """A stranger who comes above the model's default threshold.

    Attributes:
        stranger: The stranger's name; the subject's, if subjects are left out in turn.
        subject: The enrolled person who is nearest.
        probability: That of the stranger's best photo.
    """

    stranger: str
    subject: str
    probability: float


@dataclass(frozen=True)
class Calibration:
    """An operating threshold and what was measured with it.

    Attributes:
        point: The threshold, and what is known of its FPIR.
        default: The model's default threshold for this number of people. Too few strangers never lead below it.
        above_default: The strangers who reach the default, nearest first.
        target_fpir: The rate that was asked for.
        fnir: Share of references that, left out, are not found at rank 1 above the threshold; None if no subject has
            two references.
        fnir_interval: Its 95 % interval, or None.
        gallery_size: References.
        subjects: People enrolled.
        method: Where the strangers came from.
        fingerprint: The model it holds for.
    """

    point: OperatingPoint
    default: float
    above_default: tuple[Resemblance, ...]
    target_fpir: float
    fnir: float | None
    fnir_interval: Interval | None
    gallery_size: int
    subjects: int
    method: Method
    fingerprint: str

    @property
    def threshold(self) -> float:
        """The probability at which a candidate becomes a match."""
        return self.point.threshold

    @property
    def fpir_bound(self) -> float:
        """A new stranger is called somebody with at most this probability."""
        return self.point.fpir_bound

    @property
    def fewest_strangers(self) -> int:
        """How many strangers it takes to promise the target."""
        return strangers_needed(self.target_fpir, mutual=self.method == "leave-one-subject-out")

    def to_json(self) -> dict[str, Any]:
        """As the command line's contract has it, with the intervals beside it."""
        return {
            "threshold": self.threshold,
            "target_fpir": self.target_fpir,
            "fpir_bound": self.fpir_bound,
            "fpir_interval": list(self.point.fpir_interval),
            "fnir": self.fnir,
            "fnir_interval": None if self.fnir_interval is None else list(self.fnir_interval),
            "gallery_size": self.gallery_size,
            "subjects": self.subjects,
            "method": self.method,
            "strangers": self.point.strangers,
            "enough": self.point.enough,
            "default": self.default,
            "model": self.fingerprint,
        }


@dataclass(frozen=True)
class StrangerPhotos:
    """Where the strangers' photos are; a stored calibration keeps it, so that it can be repeated.

    Attributes:
        folder: Absolute; each sub-folder or loose photo is one person.
        pre_cropped: Whether each photo is already one aligned face.
    """

    folder: Path
    pre_cropped: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "pre_cropped": self.pre_cropped}
