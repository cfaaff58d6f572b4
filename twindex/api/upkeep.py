"""What a gallery offers for its upkeep: other models and indexes, thresholds, checks, backups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twindex.api.gallery import GalleryPath
    from twindex.gallery.service import Gallery as Service
    from twindex.jobs.reindex import Progress, ReindexReport


class Upkeep:
    """The part of `twindex.Gallery` that keeps it in order."""

    service: Service

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
