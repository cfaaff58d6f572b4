"""Values that the layers pass to each other. All are immutable, and arrays are read-only.

NumPy is imported at the first use of an array type, so commands that only read names and numbers start faster.
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
        """Make an array type when a module imports it."""
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
        box: Its place in the upright photo.
        landmarks: (5, 2) float32, pixels: eye on the left of the image, eye on the right, nose, left and
            right mouth corner.
        confidence: The detector's confidence, from 0 to 1.
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
        source_sha256: SHA-256 of the photo's bytes, hex.
        source_name: Where the photo came from, for people; any text.
        face_index: Number of the face in the photo; 0 is the most prominent.
        face: Box and landmarks, or None for a photo given as already cropped.
        quality: Sharpness of the crop: variance of its Laplacian, grey levels squared.
        crop: The aligned face with margin, an encoded image (see `embedder/faces/alignment.py`).
        rivals: Number of other faces in the photo that are at least half as large: one of them may be the intended one.
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
    """One subject of a candidate list, with its nearest reference.

    Attributes:
        rank: From 1.
        subject: The subject's name.
        distance: Euclidean distance between the unit-length templates, from 0 to 2; lower is closer.
        probability: The learned head's P(same person); higher is more alike.
        reference: Id of the subject's nearest reference.
        confidence: P(it is this subject), given the whole gallery and that the person may not be enrolled; see
            `scoring.posterior`. 0 where no gallery was searched.
    """

    rank: int
    subject: str
    distance: float
    probability: float
    reference: int
    confidence: float = 0.0


Decision = Literal["match", "unknown"]
