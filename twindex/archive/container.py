"""Writing and reading an archive's zip file, without trusting anything the file claims about itself.

Entries are stored, not compressed: templates and JPEG crops hardly shrink, and only compressed data can be a zip bomb.
"""

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from twindex.archive.directory import MOST_ENTRIES, SEAL_LENGTH, check_directory, length_of, seal_of
from twindex.archive.manifest import (
    LARGEST_MANIFEST,
    MANIFEST_ENTRY,
    ArchivedFile,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from twindex.errors import ArchiveError

_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DRIVE = re.compile(r"[A-Za-z]:")
# What `zipfile` raises for damaged files; RuntimeError means an encrypted entry.
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
)


def write_archive(stream: BinaryIO, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write an archive.

    Args:
        stream: An empty, seekable stream, open for reading and writing.
        manifest: The exact description of `files`.
        files: For each name in the archive, the file with its content.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(MANIFEST_ENTRY), encode_manifest(manifest))
        for described in manifest.files:
            entry = _entry(described.name)
            entry.file_size = described.length
            with files[described.name].open("rb") as source, archive.open(entry, "w") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
        archive.comment = b"0" * SEAL_LENGTH
    seal = seal_of(stream)
    stream.seek(-SEAL_LENGTH, 2)
    stream.write(seal)


def described_file(name: str, path: Path) -> ArchivedFile:
    """A file as a manifest lists it."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return ArchivedFile(name, opened.tell(), digest)


class Archive:
    """An open archive whose directory and manifest have been checked.

    Args:
        stream: A seekable file.

    Attributes:
        manifest: The archive's description of itself.

    Raises:
        ArchiveError: The file is not an archive, was changed, or holds other entries than its manifest lists.
    """

    def __init__(self, stream: BinaryIO) -> None:
        check_directory(stream)
        with _zip_faults():
            self._zip = zipfile.ZipFile(stream)
            entries = self._zip.infolist()
        self._entries = _checked_entries(entries, length_of(stream))
        if MANIFEST_ENTRY not in self._entries:
            raise ArchiveError("archive_manifest", f"The archive has no {MANIFEST_ENTRY}. Export it again.")
        if self._entries[MANIFEST_ENTRY].file_size > LARGEST_MANIFEST:
            raise ArchiveError("archive_too_large", f"The archive's {MANIFEST_ENTRY} is too long. Export it again.")
        with _zip_faults():
            content = self._zip.read(self._entries[MANIFEST_ENTRY])
        self.manifest = decode_manifest(content)
        listed = {MANIFEST_ENTRY, *(file.name for file in self.manifest.files)}
        if listed != self._entries.keys():
            wrong = sorted(listed ^ self._entries.keys())
            raise ArchiveError(
                "archive_manifest", f"The archive holds other files than its manifest lists: {wrong[0]!r}."
            )

    def extract(self, file: ArchivedFile, write: Callable[[bytes], object]) -> None:
        """Read one listed file in pieces and compare it with the manifest.

        Args:
            file: From the manifest.
            write: Called with each piece. The pieces must not be used before this method returns.

        Raises:
            ArchiveError: Length or SHA-256 differ from the manifest.
        """
        entry, length, digest = self._entries[file.name], 0, hashlib.sha256()
        if entry.file_size != file.length:
            raise _changed(file.name, f"{entry.file_size} bytes, expected {file.length}")
        with _zip_faults(), self._zip.open(entry) as opened:
            while chunk := opened.read(_CHUNK):
                length += len(chunk)
                if length > file.length:
                    raise _changed(file.name, f"more than {file.length} bytes")
                digest.update(chunk)
                write(chunk)
        if length != file.length or digest.hexdigest() != file.sha256:
            raise _changed(file.name, f"{length} bytes of SHA-256 {digest.hexdigest()}, expected {file.sha256}")


def check_archive(stream: BinaryIO) -> Manifest:
    """Read a whole archive and check everything that can be checked without opening its database.

    Args:
        stream: A seekable file with any content.

    Raises:
        ArchiveError: The file is not an archive as `twindex export` writes it.
    """
    archive = Archive(stream)
    for file in archive.manifest.files:
        archive.extract(file, lambda chunk: None)
    return archive.manifest


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry that only its owner may read, and whose bytes do not depend on the time."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    return entry


def _checked_entries(entries: list[zipfile.ZipInfo], length: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, after refusing any that are unsafe, doubled, or larger than the archive."""
    for entry in entries:
        _check_name(entry.orig_filename)
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _unsafe(entry, "is a link or another special file")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
            raise _unsafe(entry, "is compressed or encrypted")
        if not 0 <= entry.header_offset < length:
            raise _unsafe(entry, "lies outside the file")
    names = {entry.orig_filename: entry for entry in entries}
    if len({name.casefold() for name in names}) != len(entries) or len(entries) > MOST_ENTRIES:
        raise ArchiveError("unsafe_entry", "The archive holds two entries of one name, or too many. Export it again.")
    claimed = sum(max(entry.file_size, entry.compress_size) for entry in entries)
    if claimed > length:
        raise ArchiveError(
            "archive_too_large", f"The archive claims {claimed} bytes of content, but has {length}. Export it again."
        )
    return names


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    escapes = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or _DRIVE.match(name)
    if escapes or not name or name.endswith("/"):
        raise ArchiveError(
            "unsafe_entry", f"The archive's entry {name!r} would be written outside its folder; do not trust this file."
        )


@contextmanager
def _zip_faults() -> Iterator[None]:
    """Translate the errors of reading a damaged zip file into an `ArchiveError`."""
    try:
        yield
    except _ZIP_FAULTS as error:
        raise ArchiveError(
            "not_an_archive", f"The archive cannot be read as a zip file: {error}. Export it again."
        ) from error


def _unsafe(entry: zipfile.ZipInfo, why: str) -> ArchiveError:
    return ArchiveError("unsafe_entry", f"The archive's entry {entry.orig_filename!r} {why}; do not trust this file.")


def _changed(name: str, got: str) -> ArchiveError:
    return ArchiveError("archive_changed", f"The archive's {name} is not what its manifest describes: got {got}.")
