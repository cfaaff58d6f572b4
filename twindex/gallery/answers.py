"""What a gallery answers; plain values and their JSON form, which is a contract (schema 1)."""

from dataclasses import dataclass
from typing import Any

from twindex.errors import PhotoError
from twindex.types import Box, Candidate, Decision

SCHEMA = 1


@dataclass(frozen=True)
class FaceAnswer:
    """Who one face of a probe is.

    Attributes:
        box: Where the face is in the upright photo, or None for a pre-cropped probe.
        decision: "match" when the first candidate's probability reaches the threshold, else "unknown".
        threshold: The operating threshold on probability.
        candidates: Best subjects, nearest first.
        unknown: How sure it is that the person is not enrolled, from 0 to 1.
    """

    box: Box | None
    decision: Decision
    threshold: float
    candidates: tuple[Candidate, ...]
    unknown: float = 1.0

    @property
    def name(self) -> str:
        """Who it is: the first candidate's subject for a match, else "unknown"."""
        return self.candidates[0].subject if self.decision == "match" else "unknown"

    @property
    def subject(self) -> str | None:
        """Who it is: the first candidate's subject for a match, else None."""
        return self.candidates[0].subject if self.decision == "match" else None

    @property
    def confidence(self) -> float:
        """How sure it is that the person is the first candidate, from 0 to 1; 0 without candidates."""
        return self.candidates[0].confidence if self.candidates else 0.0

    def to_json(self) -> dict[str, Any]:
        box = None if self.box is None else [self.box.x, self.box.y, self.box.width, self.box.height]
        return {
            "box": None if box is None else [round(value, 1) for value in box],
            "decision": self.decision,
            "threshold": self.threshold,
            "unknown": self.unknown,
            "candidates": [
                {
                    "rank": candidate.rank,
                    "subject": candidate.subject,
                    "distance": candidate.distance,
                    "probability": candidate.probability,
                    "confidence": candidate.confidence,
                    "reference": candidate.reference,
                }
                for candidate in self.candidates
            ],
        }


@dataclass(frozen=True)
class ProbeAnswer:
    """Who is in one photo.

    Attributes:
        probe: Where the photo came from, for people.
        model: Fingerprint of the model that answered.
        gallery_size: References that were searched.
        faces: One answer for each face searched.
        error: Why no face could be searched; `faces` is empty then.
        rivals: Where one face was searched, how many others of the photo are at least half as large.
    """

    probe: str
    model: str
    gallery_size: int
    faces: tuple[FaceAnswer, ...]
    error: PhotoError | None = None
    rivals: int = 0

    def to_json(self) -> dict[str, Any]:
        error = None if self.error is None else {"code": self.error.code, "message": str(self.error)}
        return {
            "schema": SCHEMA,
            "probe": self.probe,
            "model": self.model,
            "gallery_size": self.gallery_size,
            "faces": [face.to_json() for face in self.faces],
            "error": error,
        }
