"""Aligned crops of a folder of photos, to train on: the same detection and framing as enrolment."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import read_photo, source_digest
from twindex.errors import PhotoError
from twindex.files.durable import PUBLIC, remove_leftovers, write_file
from twindex.jobs.plan import PlannedPhoto
from twindex.running.pipeline import READERS, run_pipeline

Refused = tuple[PlannedPhoto, PhotoError]
_NAME = re.compile(r"[0-9a-f]{16}\.jpg")
_ABANDONED_AFTER_S = 3600.0  # no crop takes an hour to write


def write_crops(
    photos: Iterable[PlannedPhoto], reader: FaceReader, folder: Path, listener: Callable[[], None]
) -> list[Refused]:
    """Write the most prominent face of each photo as `folder/subject/digest.jpg`, and drop those of other photos.

    The digest is the first 16 hex digits of the SHA-256 of the photo's bytes, so crops that are there are kept, however
    the photos are named or numbered.

    Args:
        photos: What to read.
        reader: Finds and aligns the faces.
        folder: Where to write.
        listener: Told after every photo.

    Returns:
        The photos without a usable face, with the reason.
    """
    refused: list[Refused] = []
    written: set[Path] = set()

    def crop(photo: PlannedPhoto) -> Path | Refused:
        try:
            content = read_photo(Path(photo.path))
            target = folder / photo.subject / f"{source_digest(content)[:16]}.jpg"
            if target.exists():
                return target
            sample = reader.samples(content, photo.path)[0]
        except PhotoError as error:
            return photo, error
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, (sample.crop,), mode=PUBLIC)
        return target

    def count(batch: list[Path | Refused]) -> None:
        for one in batch:
            listener()
            if isinstance(one, Path):
                written.add(one)
            else:
                refused.append(one)

    run_pipeline(photos, crop, list, count, readers=READERS, batch=16)
    for kept in folder.glob("*/*.jpg"):
        if kept not in written and _NAME.fullmatch(kept.name):
            kept.unlink()
    for subject in {kept.parent for kept in written}:
        remove_leftovers(subject, _ABANDONED_AFTER_S)
    return refused
