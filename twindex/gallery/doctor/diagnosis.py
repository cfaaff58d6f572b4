"""The doctor's whole visit: every check in order and, on request, the repairs and a second look."""

from dataclasses import replace
from pathlib import Path

from twindex.encryption.keys import GalleryKey
from twindex.errors import IntegrityError
from twindex.gallery.doctor.checkup import examine, notes
from twindex.gallery.doctor.findings import REPAIR, Finding
from twindex.gallery.doctor.folder_checks import check_folder, unopenable
from twindex.gallery.doctor.mending import PENDING_ERASURE, mend
from twindex.gallery.service import Gallery


def diagnose(folder: Path, *, repair: bool = False, key: GalleryKey | None = None) -> list[Finding]:
    """Check every promise of a gallery; a damaged database is a finding, not an error.

    Args:
        folder: Of the gallery.
        repair: Carry out the remedies first. What they mended leads the list, marked `mended`.
        key: Opens an encrypted gallery; by default the environment's.

    Returns:
        The findings. The gallery is sound if none of them is `unresolved`.

    Raises:
        UsageError: There is no gallery in the folder.
        EncryptionKeyError: The key is missing or wrong, or the gallery is not encrypted.
    """
    return _repair(folder, key) if repair else _find(folder, key)


def _find(folder: Path, key: GalleryKey | None) -> list[Finding]:
    """Run every check without changing anything."""
    try:
        with Gallery.open(folder, read_only=True, key=key) as gallery:
            inside = examine(gallery)
            readable = not any(finding.code in ("schema", "value") for finding in inside)
            return inside + check_folder(folder) + (notes(gallery) if readable else [])
    except IntegrityError as error:
        return [unopenable(folder, error), *check_folder(folder)]


def _repair(folder: Path, key: GalleryKey | None) -> list[Finding]:
    """Mend what the first look finds; a finding counts as mended if the second look no longer has it."""
    before = check_folder(folder)
    try:
        with Gallery.open(folder, key=key) as gallery:
            before = examine(gallery) + before
            # Never write to a database with foreign definitions: a trigger among them would run.
            foreign = any(finding.code == "schema" for finding in before)
            done = [] if foreign else mend(gallery, before)
    except IntegrityError as error:
        return [unopenable(folder, error), *before]
    after = _find(folder, key)
    mended = [replace(finding, mended=True) for finding in before if finding.text in done and finding not in after]
    pending = Finding(PENDING_ERASURE, code="erasure_pending", advice=REPAIR)
    return [*mended, *after, *([pending] if PENDING_ERASURE in done else [])]
