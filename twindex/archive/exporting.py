"""Writing a gallery's archive: whole under its name, or not at all."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twindex import __version__
from twindex.archive.container import described_file, write_archive
from twindex.archive.manifest import DATABASE_ENTRY, MODEL_ENTRIES, Manifest
from twindex.config import DATABASE
from twindex.embedder.bundle import copy_bundle
from twindex.embedder.registry import find_model
from twindex.errors import IntegrityError, UsageError
from twindex.gallery.partial import partial_folder
from twindex.storage import Contents, Store
from twindex.storage.creation import make_private_file
from twindex.storage.journal import may_write
from twindex.storage.publishing import publish


@dataclass(frozen=True)
class Exported:
    """An archive that was written: where, how long, what it says of itself, and whether the gallery's audit knows."""

    path: Path
    length: int
    manifest: Manifest
    audited: bool


def export_gallery(gallery: Path, target: Path, *, with_model: bool = False) -> Exported:
    """Write a gallery's archive while others may enrol and search.

    Args:
        gallery: Its folder.
        target: The archive to make; nothing of that name may exist.
        with_model: Whether the model that answers travels too, so that it need not be installed there.

    Raises:
        UsageError: There is no gallery, or the target exists, lies in the gallery's folder or in none.
        IntegrityError: The gallery is damaged; an archive of it could not be imported.
        OSError: The archive cannot be written; nothing is left of it.
    """
    _refuse_target(gallery, target)
    with partial_folder(target) as folder:
        database = folder / DATABASE_ENTRY
        make_private_file(database)
        with Store.open(gallery / DATABASE, read_only=True) as store:
            store.copy_to(database)
        files = {DATABASE_ENTRY: database}
        contents = _sound_contents(database)
        if with_model:
            files |= _model_files(contents, folder / "model")
        manifest = Manifest(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            twindex=__version__,
            contents=contents,
            files=tuple(described_file(name, path) for name, path in files.items()),
        )
        archive = folder / "archive"
        with open(archive, "x+b", opener=_for_owner) as stream:  # Path.open takes no opener
            write_archive(stream, manifest, files)
            stream.flush()
            os.fsync(stream.fileno())
        length = archive.stat().st_size
        # Before the archive has its name: none is ever about of which the audit does not know.
        audited = _recorded(gallery / DATABASE, contents)
        try:
            publish(archive, target)
        except FileExistsError as error:
            raise _exists(target) from error
    return Exported(target, length, manifest, audited)


def _recorded(database: Path, contents: Contents) -> bool:
    """Tell the gallery's audit; False where the gallery can only be read."""
    if not may_write(database):
        return False
    with Store.open(database) as store:
        store.audit.add("export", contents.counts())
    return True


def _refuse_target(gallery: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {str(target.parent)!r} to write the archive to; make it first.")
    if target.resolve().is_relative_to(gallery.resolve()):
        raise UsageError(
            f"{str(target)!r} lies in the gallery's own folder, where an erasure must leave nothing of a person; "
            "write the archive elsewhere."
        )
    if not (gallery / DATABASE).exists():
        raise UsageError(f"There is no gallery in {gallery} to export.")


def _sound_contents(database: Path) -> Contents:
    """What the copy holds, after every check that an import makes too."""
    with Store.open(database, read_only=True) as copy:
        if wrong := copy.unsound():
            raise IntegrityError(
                f"The gallery is damaged and was not exported, {len(wrong)} findings such as: {wrong[0]} "
                "Run `twindex doctor --repair`, then export again."
            )
        return copy.contents()


def _model_files(contents: Contents, folder: Path) -> dict[str, Path]:
    if contents.model is None:
        raise UsageError("The gallery has no active model that could travel with it; export it without --with-model.")
    bundle = copy_bundle(find_model(contents.model), folder)
    return {name: bundle.path / Path(name).name for name in MODEL_ENTRIES}


def _for_owner(path: str, flags: int) -> int:
    """Opens a new file for its owner alone: faces can be rebuilt from templates."""
    return os.open(path, flags, 0o600)


def _exists(target: Path) -> UsageError:
    return UsageError(f"{str(target)!r} exists already; an archive never replaces a file. Choose another name.")
