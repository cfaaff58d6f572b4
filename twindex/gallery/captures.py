"""What a gallery enrols: captured faces, and their templates where these are known."""

from dataclasses import dataclass

from twindex.storage.values.terms import NO_TERMS, Terms
from twindex.types import Float32, Sample


@dataclass(frozen=True, eq=False)
class Capture:
    """A captured face that is to be enrolled.

    Attributes:
        sample: The face.
        subject: Whom it shows.
        terms: Under which the reference is held; for a job's item, the item's own count instead.
        item: Id of the job's item that it settles, if it belongs to one.
    """

    sample: Sample
    subject: str
    terms: Terms = NO_TERMS
    item: int | None = None


@dataclass(frozen=True, eq=False)
class Embedded:
    """Templates, (n, dim) float32 of unit length, and the model that made them."""

    fingerprint: str
    vectors: Float32
