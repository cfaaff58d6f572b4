"""Values that the layers pass to each other. All are immutable; arrays are read-only.

NumPy is imported by the first use of an array: commands that only read names and numbers answer without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Int64 = NDArray[np.int64]
    UInt8 = NDArray[np.uint8]
else:

    def __getattr__(name: str) -> Any:
        """Make the array types when a module first imports one of them."""
        if name not in ("Float32", "Int64", "UInt8"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import numpy as np
        from numpy.typing import NDArray

        return NDArray[getattr(np, name.lower())]


def frozen_array(values: Float32) -> Float32:
    """A read-only float32 copy of `values`; the caller's array stays as it is."""
    import numpy as np

    copy = np.array(values, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True)
class Box:
    """A face's rectangle in the upright photo: left, top, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face.

    Attributes:
        box: Where it is in the upright photo.
        landmarks: (5, 2) float32, pixels: eye on the left of the image, eye on the right, nose, left and
            right mouth corner.
        confidence: The detector's, from 0 to 1.
    """

    box: Box
    landmarks: Float32
    confidence: float

    def __post_init__(self) -> None:
        if self.landmarks.shape != (5, 2):
            raise ValueError(f"Expected five (x, y) landmarks, got an array of shape {self.landmarks.shape}.")
        object.__setattr__(self, "landmarks", frozen_array(self.landmarks))


@dataclass(frozen=True, eq=False)
class Sample:
    """One captured face, ready to be enrolled or searched.

    Attributes:
        source_sha256: Hex digest of the photo's bytes.
        source_name: Where the photo came from, for people; any Unicode text.
        face_index: Which face of the photo, 0 being the most prominent.
        face: Box and landmarks, or None for a photo given as already cropped.
        quality: Sharpness of the crop: variance of its Laplacian, grey levels squared.
        crop: The aligned face with margin, an encoded image (see `embedder/faces/alignment.py`).
        rivals: Other faces of the photo that are at least half as large: it may be meant to show one of them.
    """

    source_sha256: str
    source_name: str
    face_index: int
    face: Face | None
    quality: float
    crop: bytes
    rivals: int = 0


@dataclass(frozen=True)
class Candidate:
    """One subject of a candidate list, with the reference that speaks for it.

    Attributes:
        rank: From 1.
        subject: Name.
        distance: Euclidean distance between the unit-length templates, from 0 to 2; lower is closer.
        probability: The learned head's P(same person); higher is more alike.
        reference: Id of the nearest reference.
    """

    rank: int
    subject: str
    distance: float
    probability: float
    reference: int


Decision = Literal["match", "unknown"]
