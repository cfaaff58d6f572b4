"""What a gallery offers for its upkeep: other models and indexes, thresholds, checks, backups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from twindex.config import TARGET_FPIR

if TYPE_CHECKING:
    from twindex.api.gallery import GalleryPath
    from twindex.encryption.keys import GalleryKey
    from twindex.gallery.doctor.findings import Finding
    from twindex.gallery.service import Gallery as Service
    from twindex.gallery.threshold.outcome import Calibration
    from twindex.jobs.reindex import Progress, ReindexReport


class Upkeep:
    """The part of `twindex.Gallery` that keeps it in order."""

    service: Service
    key: GalleryKey | None

    def reindex(
        self,
        model: GalleryPath | None = None,
        index: str | None = None,
        *,
        max_megabytes: int | None = None,
        progress: Progress | None = None,
    ) -> ReindexReport:
        """Move the gallery to another model, another index type, or a fresh build of the same, while it answers.

        Args:
            model: By name, fingerprint or folder; None keeps the model.
            index: auto, flat, hnsw, ivf, sq8, pq, or a FAISS factory string; None keeps the type.
            max_megabytes: Limit to the memory of the index "auto".
            progress: Called with the references embedded so far, and how many there are.

        Returns:
            What was built. Where `failed` is not 0, the old index still answers: crops were not kept.

        Raises:
            UsageError: The index is not one, or none is small enough, or the gallery has no model to keep.
            IntegrityError: The new index does not find what exact search finds; the old one still answers.

        Example:
            >>> gallery.reindex(index="hnsw").index
            'HNSW32'
        """
        from twindex.embedder.model.registry import install_model
        from twindex.jobs.reindex import reindex

        bundle = None if model is None else install_model(os.fspath(model))
        return reindex(self.service, bundle, index, progress or ignore, max_megabytes=max_megabytes)

    def roll_back(self, *, progress: Progress | None = None) -> ReindexReport:
        """Make the index that answered before the present one answer again, after embedding what was enrolled since.

        Raises:
            UsageError: There is none.
        """
        from twindex.jobs.reindex import roll_back

        return roll_back(self.service, progress or ignore)

    def calibrate(
        self,
        target_fpir: float = TARGET_FPIR,
        strangers: GalleryPath | None = None,
        *,
        pre_cropped: bool = False,
        progress: Progress | None = None,
    ) -> Calibration:
        """Set the threshold from which a candidate is a match, for a target rate of strangers called somebody (FPIR).

        Args:
            target_fpir: The rate, between 0 and 1.
            strangers: A folder of people who are not enrolled, one sub-folder or photo each; None leaves each enrolled
                person out in turn.
            pre_cropped: Each of the strangers' photos is one aligned face.
            progress: Called with the photos read so far, and how many there are.

        Returns:
            The threshold and its error rates.

        Raises:
            UsageError: There is nothing to measure on, or nobody could match; the threshold stays as it was.
        """
        from twindex.gallery.threshold.calibration import calibrate_gallery
        from twindex.gallery.threshold.outcome import StrangerPhotos

        photos = None if strangers is None else StrangerPhotos(Path(strangers).resolve(), pre_cropped)
        return calibrate_gallery(self.service, target_fpir, photos, listener=progress or ignore)

    def reset_threshold(self) -> float:
        """Go back to the model's default threshold; returns it."""
        return self.service.reset_threshold()

    def doctor(self, *, repair: bool = False) -> list[Finding]:
        """Check everything that the gallery promises.

        Args:
            repair: Mend what can be mended first.

        Returns:
            What was found; the gallery is sound if nothing in it is `unresolved`.

        Example:
            >>> any(finding.unresolved for finding in gallery.doctor())
            False
        """
        from twindex.gallery.doctor.diagnosis import diagnose

        return diagnose(self.service.folder, repair=repair, key=self.key)

    def prune(self) -> tuple[int, int]:
        """Drop every index that does not answer, and the templates of models no longer in use; how many of each."""
        from twindex.jobs.reindex import prune

        return prune(self.service)

    def compact(self) -> None:
        """Write a fresh snapshot of the index, so that opening the gallery replays no changes."""
        self.service.searchable().compact()

    def export(self, path: GalleryPath, *, with_model: bool = False) -> None:
        """Write the whole gallery to one file, while others go on enrolling and searching.

        Raises:
            UsageError: The file exists or cannot be written there.
        """
        from twindex.archive.exporting import export_gallery

        export_gallery(self.service.folder, Path(path), with_model=with_model)


def ignore(*_: object) -> None:
    """Listens to nothing."""
