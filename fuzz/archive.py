"""Reading an archive from end to end, its database apart.

An input is everything before the seal, which is put behind it: otherwise hardly any input would get past it.
"""

import io
from collections.abc import Iterator

from fuzz.scratch import scratch_folder
from tests.archive.builders import make_gallery, read_entries, resealed, sealed, with_manifest
from twindex.archive.container import check_archive
from twindex.archive.directory import SEAL_LENGTH
from twindex.archive.exporting import export_gallery
from twindex.errors import ArchiveError

_FOLDER = scratch_folder("archive")


def seeds() -> Iterator[bytes]:
    """An archive as it is written, one entry alone, entries in another order, and other manifests."""
    whole = _archive()
    entries = read_entries(whole)
    for one in (
        whole,
        sealed(entries[:1]),
        sealed(entries[::-1]),
        with_manifest(whole, lambda manifest: manifest.update(schema=99)),
        with_manifest(whole, lambda manifest: manifest["files"].clear()),
    ):
        yield one[:-SEAL_LENGTH]


def check(data: bytes) -> None:
    """Only `ArchiveError` comes out."""
    try:
        check_archive(io.BytesIO(resealed(data + b"0" * SEAL_LENGTH)))
    except ArchiveError:
        return


def _archive() -> bytes:
    gallery, file = _FOLDER / "gallery", _FOLDER / "archive"
    if not gallery.exists():
        make_gallery(gallery)
    file.unlink(missing_ok=True)
    return export_gallery(gallery, file).path.read_bytes()
