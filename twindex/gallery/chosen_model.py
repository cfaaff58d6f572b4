"""Choose the model for work without a gallery: the named one, else the gallery's, else the shipped one."""

from pathlib import Path

from twindex.config import DATABASE
from twindex.embedder.embedder import Embedder
from twindex.embedder.model.registry import find_model
from twindex.files.user_folders import cache_dir
from twindex.gallery.service import Gallery


def chosen_embedder(folder: Path, model: str | None) -> Embedder:
    """The embedder of a command that does not need a gallery.

    Args:
        folder: A gallery's folder; there need not be one.
        model: The model a user named, as for `find_model`, or None.

    Raises:
        UsageError: No such model.
        ModelMismatchError: The gallery's model is not installed.
    """
    if model is None and (folder / DATABASE).exists():
        with Gallery.open(folder, read_only=True) as gallery:
            return gallery.embedder(gallery.active().fingerprint)
    return Embedder(find_model(model or "default"), cache=cache_dir())
