"""Opening a gallery, or making one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from twindex.api.gallery import Gallery, GalleryPath
from twindex.api.loading import Loading
from twindex.config import DATABASE, default_gallery
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.encryption.keys import GalleryKey
    from twindex.gallery.service import Gallery as Service


def open_gallery(
    gallery: GalleryPath | None = None,
    *,
    model: GalleryPath | None = None,
    create: bool = True,
    keep_crops: bool = True,
    read_only: bool = False,
    key: GalleryKey | None = None,
    prepare: bool = False,
) -> Gallery:
    """Open a gallery, and make it if it is missing.

    Args:
        gallery: Its folder; by default the environment's TWINDEX_GALLERY, else `twindex-gallery` in the current folder.
        model: For a new gallery: the model it uses, by name, fingerprint or folder; by default the shipped one.
        create: Whether a missing gallery is made.
        keep_crops: For a new gallery: whether crops are kept, without which it cannot change its model.
        read_only: Open it for questions alone; a missing one is not made then.
        key: Of an encrypted gallery; by default the environment's TWINDEX_KEY or TWINDEX_KEY_FILE.
        prepare: Load the detector beside the database, so that the first question waits for less.

    Returns:
        The gallery; close it, or use it in a `with` statement.

    Raises:
        UsageError: There is no gallery and none is made, or it exists already and uses another model.
        EncryptionKeyError: The key is missing or wrong, or given to a gallery that is not encrypted.
        IntegrityError: The database is damaged.

    Example:
        >>> with twindex.open("gallery") as gallery:
        ...     report = gallery.enroll("people/")
        ...     face = gallery.identify("visitor.jpg").faces[0]
        >>> report.enrolled, face.subject
        (36, 'ada')
    """
    folder = default_gallery() if gallery is None else Path(gallery)
    loading = Loading() if prepare else None
    from twindex.gallery.service import Gallery as Service

    if (folder / DATABASE).exists():
        service = Service.open(folder, read_only=read_only, key=key)
        if model is not None:
            _refuse_another_model(service, model)
    elif not create or read_only:
        raise UsageError(f"There is no gallery in {folder}; `twindex enroll` makes one.")
    else:
        from twindex.embedder.model.registry import find_model, install_model

        # Installed, so that later calls find the model by its fingerprint.
        bundle = find_model("default") if model is None else install_model(os.fspath(model))
        service = Service.create(folder, bundle, keep_crops=keep_crops, key=key)
    return Gallery(service, loading, key)


def _refuse_another_model(gallery: Service, model: GalleryPath) -> None:
    """Raise UsageError unless the gallery uses that model already."""
    from twindex.embedder.model.registry import find_model

    wanted, used = find_model(os.fspath(model)).card.fingerprint, gallery.active().fingerprint
    if wanted != used:
        gallery.close()
        raise UsageError(
            f"The gallery uses the model {used[:12]}, not {wanted[:12]}; `twindex reindex --model` changes it."
        )
