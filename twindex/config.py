"""Settings of one call of the program, and the few numbers that several rooms share."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_GALLERY = Path("twindex-gallery")
DATABASE = "gallery.sqlite"
SNAPSHOTS = "index"
CANDIDATES = 100  # nearest references that are looked at exactly
FUSED_SUBJECTS = 20  # nearest subjects whose references are all looked at
COMPACT_AFTER = 256
TOP = 5
TARGET_FPIR = 0.01  # share of strangers that may be called somebody, where nobody says otherwise
BATCH_FAILED = 4  # exit status of a batch that finished with failed items


@dataclass(frozen=True)
class Settings:
    """What every command needs to know.

    Attributes:
        gallery: Folder of the gallery.
        json: Whether results are printed as JSON.
    """

    gallery: Path
    json: bool = False


def default_gallery() -> Path:
    """The folder named by TWINDEX_GALLERY, else `twindex-gallery` in the current folder."""
    return Path(os.environ.get("TWINDEX_GALLERY") or DEFAULT_GALLERY)
