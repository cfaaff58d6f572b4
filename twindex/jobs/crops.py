"""Aligned crops of a folder of photos, to train on: the same detection and framing as enrolment."""

from collections.abc import Callable, Iterable
from pathlib import Path

from twindex.embedder.faces import FaceReader
from twindex.embedder.photo_file import read_photo
from twindex.errors import PhotoError
from twindex.jobs.enroll import READERS
from twindex.jobs.pipeline import run_pipeline
from twindex.jobs.plan import PlannedPhoto

Refused = tuple[PlannedPhoto, PhotoError]


def write_crops(
    photos: Iterable[PlannedPhoto], reader: FaceReader, folder: Path, listener: Callable[[], None]
) -> list[Refused]:
    """Write the most prominent face of each photo as `folder/subject/number.jpg`; crops that are there are kept.

    Args:
        photos: What to read, in the same order each time: a crop is named by its number.
        listener: Told after every photo.

    Returns:
        The photos without a usable face, with the reason.
    """
    refused: list[Refused] = []

    def crop(numbered: tuple[int, PlannedPhoto]) -> Refused | None:
        number, photo = numbered
        target = folder / photo.subject / f"{number:06d}.jpg"
        if target.exists():
            return None
        try:
            sample = reader.samples(read_photo(Path(photo.path)), photo.path)[0]
        except PhotoError as error:
            return photo, error
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        partial.write_bytes(sample.crop)
        partial.replace(target)
        return None

    def count(batch: list[Refused | None]) -> None:
        for one in batch:
            listener()
            if one is not None:
                refused.append(one)

    run_pipeline(enumerate(photos), crop, list, count, readers=READERS, batch=16)
    return refused
