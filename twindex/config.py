"""Settings of one call of the program, and the few constants that several packages share."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_GALLERY = Path("twindex-gallery")
DATABASE = "gallery.sqlite"
SNAPSHOTS = "index"
CANDIDATES = 100  # nearest references whose exact distances are computed
FUSED_SUBJECTS = 20  # nearest subjects of whom all references are compared
COMPACT_AFTER = 256
TOP = 5
PRIOR = 0.5  # share of probes whose person is enrolled, where nobody says otherwise
TARGET_FPIR = 0.01  # default share of strangers that may match somebody
BATCH_FAILED = 4  # exit status of a batch that finished with failed items


@dataclass(frozen=True)
class Settings:
    """Settings that every command needs.

    Attributes:
        gallery: Folder of the gallery.
        json: Whether results are printed as JSON.
    """

    gallery: Path
    json: bool = False


def default_gallery() -> Path:
    """The folder that TWINDEX_GALLERY names, or `twindex-gallery` in the current folder."""
    return Path(os.environ.get("TWINDEX_GALLERY") or DEFAULT_GALLERY)
