"""Comparing two photos: do they show the same person?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from twindex.embedder.embedder import Embedder
from twindex.embedder.photos.source import PhotoSource, photo_bytes, source_name
from twindex.errors import PhotoError
from twindex.scoring import distances
from twindex.types import Sample

if TYPE_CHECKING:
    from twindex.embedder.faces.reader import FaceReader


@dataclass(frozen=True)
class Verification:
    """What the twin says of two faces.

    Attributes:
        match: Whether they are taken for the same person: the probability reaches the threshold.
        distance: Euclidean distance of the templates, from 0 to 2; lower is closer.
        probability: The learned head's P(same person).
        threshold: The model's threshold on the probability, at which about one of a thousand pairs of different people
            is a match.
        rivals: For each photo, how many other faces are at least half as large as the one compared.
    """

    match: bool
    distance: float
    probability: float
    threshold: float
    rivals: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        decision = "match" if self.match else "no match"
        return {"distance": self.distance, "probability": self.probability, "decision": decision}


def compare(
    embedder: Embedder, reader: "FaceReader", first: PhotoSource, second: PhotoSource, *, pre_cropped: bool = False
) -> Verification:
    """Compare the most prominent faces of two photos.

    Raises:
        PhotoError: A photo has no usable face; the message names the photo.
    """
    samples = [most_prominent(reader, photo, pre_cropped=pre_cropped) for photo in (first, second)]
    templates = embedder.embed_samples(samples)
    distance = float(distances(templates[0], templates[1:])[0])
    card = embedder.card
    probability = float(card.head.probability(np.float64(distance)))
    threshold = card.verify_threshold
    rivals = (samples[0].rivals, samples[1].rivals)
    return Verification(probability >= threshold, distance, probability, threshold, rivals)


def most_prominent(reader: "FaceReader", photo: PhotoSource, *, pre_cropped: bool = False) -> Sample:
    """The most prominent face of a photo.

    Raises:
        PhotoError: There is no usable face; the message names the photo.
    """
    name = source_name(photo)
    try:
        return reader.samples(photo_bytes(photo), name, pre_cropped=pre_cropped)[0]
    except PhotoError as error:
        raise PhotoError(error.code, f"{name}: {error}") from error
