"""A bundle's card: what the model is, how it decides, and where it comes from.

`card.json` is one UTF-8 JSON object with "schema" 1, "architecture", "preprocessing", and one key for each field of
`Card`; thresholds are objects {"gallery_size", "probability"}.
"""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from twindex.embedder.model.inception import SMALLEST_SIDE, activations
from twindex.errors import BundleError
from twindex.files.typed_values import WrongValueError, read_as, read_fields
from twindex.scoring import Head

SCHEMA = 1
ARCHITECTURE = "inception_v3, projection, l2"
PREPROCESSING = "rgb, pixel / 127.5 - 1"
ALIGNMENTS = ("arcface-112",)
PRECISIONS = ("float32", "bfloat16", "int8")
# Of int8, see inference/branch_graph.py.
ROUNDING = "kernels -127 to 127 by channel, two of four 128 at most; activations 0 to 255"

_CONSTANTS = {"schema": SCHEMA, "architecture": ARCHITECTURE, "preprocessing": PREPROCESSING}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_SIDE = 1024
_LARGEST_DIM = 4096
_LARGEST_GALLERY = 2**53
_UNMEASURED_STEP = 0.1  # fall of a threshold's distance in a tenfold gallery; the shipped model's is 0.077 to 0.095

_Rules = dict[str, tuple[bool, str]]  # by field: whether its value is in range, and what is expected


@dataclass(frozen=True)
class DefaultThreshold:
    """The least probability of a match in a gallery of `gallery_size` subjects."""

    gallery_size: int
    probability: float


@dataclass(frozen=True)
class Card:
    """A model's card.

    Attributes:
        name: For people; 1 to 64 letters, digits, spaces, dots, underscores, plus and minus signs.
        input_shape: (height, width, 3) of the network's input; a square of 75 to 1024 pixels.
        dim: Length of a template.
        mirror: Whether a template is the normalised sum of the image's and its mirror image's.
        alignment: How faces are aligned; "arcface-112".
        head_weight, head_bias: The learned head; the weight is below 0.
        thresholds: Default operating thresholds, gallery sizes strictly and probabilities weakly rising.
        verify_threshold: Least probability at which two photos count as the same person (1:1).
        training: The data and settings of its training; plain JSON.
        accuracy: Its measured accuracy; plain JSON.
        versions: Versions of the libraries that made it, by name.
        terms: Terms of use, for people.
        weights_sha256: SHA-256 of the weights file, 64 hex digits; empty until the weights are written.
        precision: Precision of the arithmetic, "float32", "bfloat16" or "int8".
        activation_ranges: The upper bound of each activation, in the order of `inception.activations`; "int8" needs
            them, for other precisions they may be empty.

    Raises:
        BundleError: A value is out of range.
    """

    name: str
    input_shape: tuple[int, int, int]
    dim: int
    mirror: bool
    alignment: str
    head_weight: float
    head_bias: float
    thresholds: tuple[DefaultThreshold, ...]
    verify_threshold: float
    training: dict[str, Any]
    accuracy: dict[str, Any]
    versions: dict[str, str]
    terms: str
    weights_sha256: str
    precision: Literal["float32", "bfloat16", "int8"] = "float32"
    activation_ranges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, (holds, expected) in (
            self._input_rules() | self._decision_rules() | self._arithmetic_rules()
        ).items():
            if not holds:
                raise BundleError(
                    f"The model's card has a {name} that is out of range: {getattr(self, name)!r}, expected {expected}."
                )

    def _input_rules(self) -> _Rules:
        height, width, channels = self.input_shape
        return {
            "name": (
                _NAME.fullmatch(self.name) is not None,
                "1 to 64 letters, digits, spaces and . _ + -, a letter or digit first",
            ),
            "input_shape": (
                SMALLEST_SIDE <= height == width <= _LARGEST_SIDE and channels == 3,
                f"a square of {SMALLEST_SIDE} to {_LARGEST_SIDE} pixels, 3 channels",
            ),
            "dim": (2 <= self.dim <= _LARGEST_DIM, f"2 to {_LARGEST_DIM}"),
            "alignment": (self.alignment in ALIGNMENTS, f"one of {ALIGNMENTS}"),
        }

    def _decision_rules(self) -> _Rules:
        sizes = [threshold.gallery_size for threshold in self.thresholds]
        probabilities = [threshold.probability for threshold in self.thresholds]
        return {
            "head_weight": (math.isfinite(self.head_weight) and self.head_weight < 0, "a number below 0"),
            "head_bias": (math.isfinite(self.head_bias), "a finite number"),
            "thresholds": (
                sizes == sorted(set(sizes))
                and probabilities == sorted(probabilities)
                and all(1 <= size <= _LARGEST_GALLERY for size in sizes)
                and all(0 < probability <= 1 for probability in probabilities),
                f"rising gallery sizes from 1 to {_LARGEST_GALLERY}, with rising probabilities above 0 and up to 1",
            ),
            "verify_threshold": (0 < self.verify_threshold <= 1, "above 0 and up to 1"),
        }

    def _arithmetic_rules(self) -> _Rules:
        all_ranges = len(activations())
        allowed_ranges = (all_ranges,) if self.precision == "int8" else (0, all_ranges)
        return {
            "weights_sha256": (
                self.weights_sha256 == "" or _DIGEST.fullmatch(self.weights_sha256) is not None,
                "64 hex digits",
            ),
            "precision": (self.precision in PRECISIONS, f"one of {PRECISIONS}"),
            "activation_ranges": (
                len(self.activation_ranges) in allowed_ranges
                and all(0 < bound < math.inf for bound in self.activation_ranges),
                f"{all_ranges} finite numbers above 0, for int8",
            ),
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, over canonical JSON of the weights' hash and everything else that changes a template.

        It does not cover head, thresholds and texts: if these are corrected, templates stay comparable.

        Raises:
            BundleError: The weights are not written yet.
        """
        if not self.weights_sha256:
            raise BundleError(f"The model {self.name!r} has no fingerprint before its weights are written.")
        identity: dict[str, Any] = {
            "alignment": self.alignment,
            "architecture": ARCHITECTURE,
            "dim": self.dim,
            "input_shape": list(self.input_shape),
            "mirror": self.mirror,
            "precision": self.precision,
            "preprocessing": PREPROCESSING,
            "weights_sha256": self.weights_sha256,
        }
        if self.precision == "int8":
            identity["activation_ranges"] = list(self.activation_ranges)
            identity["rounding"] = ROUNDING
        return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def head(self) -> Head:
        """The twin's learned head."""
        return Head(self.head_weight, self.head_bias)

    def with_weights(self, sha256: str) -> Self:
        """The same card for the weights file with that hash."""
        return replace(self, weights_sha256=sha256)

    def with_precision(self, precision: str) -> Self:
        """The same card for another precision, which is added to the name. Its templates have their own fingerprint.

        Head, thresholds and accuracy stay as measured; `accuracy` says in which precision.

        Raises:
            BundleError: There is no such precision, or "int8" is wanted and the card has no ranges of activations.
        """
        if precision == "int8" and not self.activation_ranges:
            raise BundleError(f"The model {self.name!r} was exported without the activations' ranges that int8 needs.")
        if precision == self.precision:
            return self
        name = f"{self.name[: 63 - len(precision)]}-{precision}"
        accuracy = {"measured_in": self.precision, **self.accuracy}
        return replace(self, name=name, precision=precision, accuracy=accuracy)  # type: ignore[arg-type]  # checked there

    def threshold_for(self, subjects: int) -> float:
        """The default operating threshold for a gallery with that number of subjects.

        The share of strangers within a distance grows about exponentially with the distance. So between the card's
        thresholds the largest distance of a match is linear in the logarithm of the gallery size. Below the smallest
        size its threshold holds. Above the largest size the last slope continues down to distance 0, where the same
        photo still matches. If the card has only one threshold, the distance falls by 0.1 with each tenfold size; if it
        has none, `verify_threshold` serves as the threshold for one subject.

        Raises:
            ValueError: `subjects` is below 1.
        """
        if subjects < 1:
            raise ValueError(f"Expected a gallery of at least one subject, got {subjects}.")
        known = self.thresholds or (DefaultThreshold(1, self.verify_threshold),)
        head = self.head
        below = above = known[0]
        for threshold in known[1:]:
            if subjects <= above.gallery_size:
                break
            below, above = above, threshold
        if subjects == above.gallery_size or (below is above and subjects < above.gallery_size):
            return above.probability
        size, near, far = above.gallery_size, head.reach(above.probability), head.reach(below.probability)
        if below is above:
            size, near = 10 * size, near - _UNMEASURED_STEP
        share = math.log(subjects / below.gallery_size) / math.log(size / below.gallery_size)
        probability = float(head.probability(max(0.0, far + share * (near - far))))
        if subjects < above.gallery_size:
            return min(max(below.probability, probability), above.probability)
        return max(above.probability, probability)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `card.json` holds them."""
        values = asdict(self)
        values["input_shape"] = list(self.input_shape)
        values["activation_ranges"] = list(self.activation_ranges)
        values["thresholds"] = [asdict(threshold) for threshold in self.thresholds]
        return {**_CONSTANTS, **values}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Read a card that `to_json` wrote.

        Args:
            values: Decoded from JSON; may be anything.

        Raises:
            BundleError: The schema is another one, a key is missing or unknown, or a value has a wrong type or is out
                of range.
        """
        try:
            card = read_as(values, dict[str, Any], "the card")
            for name, known in _CONSTANTS.items():
                if read_as(card.get(name), type(known), name) != known:
                    raise BundleError(
                        f"The model's card has {name} {card.get(name)!r}, this version reads {known!r}: "
                        "install the Twindex that the model was made for."
                    )
            given = {name: value for name, value in card.items() if name not in _CONSTANTS}
            given.setdefault("activation_ranges", [])  # the first cards did not have them
            return cls(**read_fields(given, cls, "the card"))
        except WrongValueError as error:
            raise BundleError(f"The model's card: {error}.") from error
