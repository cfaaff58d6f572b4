"""Encrypt a gallery, change its key, or remove its encryption."""

from dataclasses import dataclass
from pathlib import Path

from twindex.config import DATABASE, SNAPSHOTS
from twindex.encryption.keys import GalleryKey
from twindex.errors import EncryptionKeyError, UsageError
from twindex.gallery.file_roles import files_below, foreign_files
from twindex.storage.rekeying import discard, refuse_shared, rekey_database
from twindex.storage.sqlite.journal import read_header


@dataclass(frozen=True)
class Rekeyed:
    """What was done.

    Attributes:
        was_encrypted, encrypted: Whether the gallery was encrypted before, and is now.
        key_source: Where the key that now opens it came from, or "".
        snapshots: How many index files were removed; the next query rebuilds the index from the database.
        foreign: Files in the folder that are not the gallery's, relative to it. The key does not protect them.
    """

    was_encrypted: bool
    encrypted: bool
    key_source: str
    snapshots: int
    foreign: tuple[str, ...]


def rekey(folder: Path, key: GalleryKey | None, new: GalleryKey | None, *, remove: bool = False) -> Rekeyed:
    """Give a gallery another key; nobody else may have it open.

    Args:
        folder: Of the gallery.
        key: The key that opens the gallery now. A gallery that is not encrypted yet is encrypted with it, unless there
            is a new key.
        new: The key that opens it afterwards.
        remove: Remove the encryption instead.

    Raises:
        UsageError: There is no gallery, another process has it open, or one of its files has another name too.
        EncryptionKeyError: A key is missing, wrong or superfluous.
        IntegrityError: The gallery is damaged; it stays as it was.
    """
    path = folder / DATABASE
    if not path.exists():
        raise UsageError(f"There is no gallery in {folder}; `twindex enroll` makes one.")
    if remove and new is not None:
        raise EncryptionKeyError("A new key was given, but the key is to be removed; choose one.")
    was_encrypted = read_header(path).encryption is not None
    present = key if was_encrypted else None
    wanted = new if was_encrypted or new is not None else key
    if remove and not was_encrypted:
        raise EncryptionKeyError(f"The gallery in {folder} is not encrypted; there is no key to remove.")
    if not remove and wanted is None:
        raise EncryptionKeyError(f"No new key for the gallery in {folder}; name a file that holds it (--new-key-file).")
    refuse_shared([path.resolve(), *files_below(folder / SNAPSHOTS)])
    removed = 0

    def discard_snapshots() -> None:
        nonlocal removed
        for file in files_below(folder / SNAPSHOTS):
            discard(file)
            removed += 1

    rekey_database(path, present, wanted, discard_snapshots)
    foreign = tuple(str(file.relative_to(folder)) for file in foreign_files(folder))
    return Rekeyed(was_encrypted, not remove, wanted.source if wanted is not None else "", removed, foreign)
