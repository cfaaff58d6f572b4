"""Calibrate a gallery from folders of photos, as `twindex calibrate` and Python users do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from twindex.config import TARGET_FPIR
from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.errors import UsageError
from twindex.evaluation.capture import capture
from twindex.evaluation.open_set_photos import subject_photos
from twindex.gallery.service import Gallery
from twindex.gallery.threshold.age import threshold_age
from twindex.gallery.threshold.operating_point import SOURCE, calibrate
from twindex.gallery.threshold.outcome import Calibration, StrangerPhotos
from twindex.running.pipeline import READERS
from twindex.storage import StoredThreshold
from twindex.types import Float32

Listener = Callable[[int, int], None]
PhotoListener = Callable[[Path, str], None]


def calibrate_gallery(
    gallery: Gallery,
    target_fpir: float = TARGET_FPIR,
    non_mated: StrangerPhotos | Path | None = None,
    *,
    listener: Listener = lambda done, total: None,
    unusable: PhotoListener = lambda photo, code: None,
) -> Calibration:
    """Set the gallery's operating threshold.

    Args:
        gallery: Open for writing.
        target_fpir: Share of strangers that may be called somebody, between 0 and 1.
        non_mated: Photos of people who are not enrolled; in a folder each sub-folder or loose photo is one person. None
            leaves each enrolled person out in turn instead.
        listener: Called with the photos done and their total.
        unusable: Called with each photo without a usable face, and the error's code.

    Returns:
        The threshold and its error rates.

    Raises:
        UsageError: There is nothing to measure on, or no threshold would let anybody match. The threshold stays as it
            was.
        ModelMismatchError: The gallery's model is not installed.
    """
    source = StrangerPhotos(non_mated.resolve()) if isinstance(non_mated, Path) else non_mated
    fingerprint = gallery.active().fingerprint
    strangers = None
    if source is not None:
        strangers = stranger_templates(source, gallery.embedder(fingerprint), listener, unusable)
    return calibrate(gallery, fingerprint, target_fpir, strangers, source=source)


def recalibrate_gallery(
    gallery: Gallery,
    target_fpir: float | None = None,
    non_mated: StrangerPhotos | None = None,
    *,
    listener: Listener = lambda done, total: None,
    unusable: PhotoListener = lambda photo, code: None,
) -> Calibration | None:
    """Set the threshold again, unless the last calibration was made with the same arguments and still fits.

    Args:
        gallery: Open for writing.
        target_fpir: As for `calibrate_gallery`; None takes that of the last calibration.
        non_mated: As for `calibrate_gallery`; None takes that of the last calibration.
        listener, unusable: As for `calibrate_gallery`.

    Returns:
        The new calibration, or None if the threshold stays.
    """
    stored = gallery.store.gallery().threshold
    last = None if stored is None else stored_source(stored)
    target = target_fpir or (TARGET_FPIR if stored is None else stored.target_fpir)
    source = last if non_mated is None else non_mated
    same = stored is not None and (target, source) == (stored.target_fpir, last)
    if same and threshold_age(gallery).age == "fits":
        return None
    return calibrate_gallery(gallery, target, source, listener=listener, unusable=unusable)


def stored_source(threshold: StoredThreshold) -> StrangerPhotos | None:
    """The strangers' photos that a threshold was measured on; None if enrolled people were left out in turn."""
    source = threshold.report[SOURCE]
    return StrangerPhotos(Path(source["folder"]), source["pre_cropped"]) if source else None


def stranger_templates(
    source: StrangerPhotos, embedder: Embedder, listener: Listener, unusable: PhotoListener
) -> dict[str, Float32]:
    """The templates of each stranger, (photos, dim) float32; people without a usable photo are missing.

    Raises:
        UsageError: The folder is gone or has no photos.
    """
    if not source.folder.is_dir():
        raise UsageError(f"The strangers' folder {source.folder} no longer exists; name another with --non-mated.")
    photos = subject_photos(source.folder)
    paths = [path for _, path in photos]
    done = 0
    listener(done, len(photos))

    def listen(batch: int) -> None:
        nonlocal done
        done += batch
        listener(done, len(photos))

    captured = capture(paths, FaceReader.of_many(READERS), embedder, listen, pre_cropped=source.pre_cropped)
    for path, code in captured.failures:
        unusable(path, code)
    by_name: dict[str, list[Float32]] = {}
    for (name, _), template, usable in zip(photos, captured.templates, captured.usable, strict=True):
        if usable:
            by_name.setdefault(name, []).append(template)
    return {name: np.stack(templates) for name, templates in by_name.items()}
