"""One photo of an enrolment: read, known already, or captured."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import source_digest
from twindex.embedder.photos.source import PhotoSource, photo_bytes
from twindex.errors import IntegrityError, PhotoError, UsageError
from twindex.gallery.service import Gallery
from twindex.jobs.reports import ItemOutcome
from twindex.storage import ReferenceRecord
from twindex.storage.values.terms import Terms
from twindex.types import Sample

ALREADY_ENROLLED = "already_enrolled"
EXPIRED = "expired: enrolled before, but answers no query any more; renew it with --expires, or purge it first"
READ_OTHERWISE = (
    "read_otherwise: enrolled before with --pre-cropped where it is not given now, or without where it is; erase the "
    "subject first to have it read again"
)


@dataclass(frozen=True)
class Reading:
    """How photos are read.

    Attributes:
        pre_cropped: Each is one aligned face; nothing is searched for.
        face: Which of a photo's usable faces is meant, from 1, as an answer about all faces numbers them; None for the
            most prominent one.
    """

    pre_cropped: bool = False
    face: int | None = None

    def __post_init__(self) -> None:
        if self.face is not None and (self.face < 1 or self.pre_cropped):
            raise UsageError(f"A face is named by its number from 1, and not in pre-cropped photos; got {self.face}.")


DETECTED = Reading()  # the most prominent face


@dataclass(frozen=True, eq=False)
class Captured:
    """A photo that was read.

    Attributes:
        sample: The face to enrol; None where nothing is to be enrolled.
        status, reason: What becomes of the photo, if nothing else happens.
        reference: The one that holds it already.
    """

    sample: Sample | None
    status: ItemOutcome
    reason: str | None = None
    reference: int | None = None


def capture(
    gallery: Gallery, reader: FaceReader, photo: PhotoSource, name: str, subject: str, terms: Terms, reading: Reading
) -> Captured:
    """Read a photo for a subject; what is wrong with it is the result, never an exception.

    Args:
        gallery: Knows what is enrolled already.
        reader: Finds and aligns the face.
        photo: The photo.
        name: Where it came from, for people.
        subject: Whom it shows.
        terms: Under which it is to be held; they may renew an expired reference.
        reading: How it is read.
    """
    try:
        data = photo_bytes(photo)
        known = gallery.store.references.find(source_digest(data), subject)
        if known and _has_sound_crop(gallery, known[0].reference):
            return Captured(None, "skipped", _why_skipped(known[0], terms, reading), known[0].reference)
        return Captured(_sample(reader, data, name, reading), "enrolled")
    except PhotoError as error:
        return Captured(None, "failed", f"{error.code}: {error}")


def _sample(reader: FaceReader, data: bytes, name: str, reading: Reading) -> Sample:
    """The face that is meant."""
    samples = reader.samples(data, name, pre_cropped=reading.pre_cropped, all_faces=reading.face is not None)
    if reading.face is None:
        return samples[0]
    number = reading.face
    if number > len(samples):
        raise PhotoError(
            "no_face", f"Face {number} was asked for, but the photo has {len(samples)} usable faces. Name one of these."
        )
    return replace(samples[number - 1], rivals=0)  # whom the photo is meant to show has been said


def _why_skipped(known: ReferenceRecord, terms: Terms, reading: Reading) -> str:
    if known.terms.expired(datetime.now(UTC)) and terms.expires is None:
        return EXPIRED
    # Only a detected face has a box; a pre-cropped one has none.
    return ALREADY_ENROLLED if (known.face is None) is reading.pre_cropped else READ_OTHERWISE


def _has_sound_crop(gallery: Gallery, reference: int) -> bool:
    """Whether a reference's crop need not be replaced; a reference that was erased meanwhile is not there."""
    try:
        gallery.store.references.crop(reference)
    except (IntegrityError, UsageError):
        return False
    return True
