"""Which model works without a gallery's templates: the one that is named, else the gallery's, else the shipped one."""

from pathlib import Path

from twindex.config import DATABASE
from twindex.embedder.embedder import Embedder
from twindex.embedder.model.registry import find_model
from twindex.files.user_folders import cache_dir
from twindex.gallery.service import Gallery


def chosen_embedder(folder: Path, model: str | None) -> Embedder:
    """An embedder for a command that needs no gallery.

    Args:
        folder: Where a gallery may be.
        model: What a user named, as for `find_model`, or None.

    Raises:
        UsageError: No such model.
        ModelMismatchError: The gallery's model is not installed.
    """
    if model is None and (folder / DATABASE).exists():
        with Gallery.open(folder, read_only=True) as gallery:
            return gallery.embedder(gallery.active().fingerprint)
    return Embedder(find_model(model or "default"), cache=cache_dir())
