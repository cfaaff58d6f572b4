"""Exporting a gallery to an archive, which appears whole or not at all."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twindex import __version__
from twindex.archive.container import described_file, write_archive
from twindex.archive.manifest import DATABASE_ENTRY, MODEL_ENTRIES, Manifest
from twindex.config import DATABASE
from twindex.embedder.model.bundle import copy_bundle
from twindex.embedder.model.registry import find_model
from twindex.errors import IntegrityError, UsageError
from twindex.files.durable import private_file
from twindex.files.export_target import publish_archive, refuse_target
from twindex.files.work_folder import remove_abandoned, work_folder
from twindex.storage import Store, Summary
from twindex.storage.creation import make_private_file
from twindex.storage.sqlite.journal import may_write


@dataclass(frozen=True)
class Exported:
    """A finished archive: its path, length and manifest, and whether the gallery's audit lists it."""

    path: Path
    length: int
    manifest: Manifest
    audited: bool


def export_gallery(gallery: Path, target: Path, *, with_model: bool = False) -> Exported:
    """Write a gallery's archive while others may enrol and search.

    Args:
        gallery: The gallery's folder.
        target: The archive to make; nothing may have that name yet.
        with_model: Whether to include the active model, so that it need not be installed elsewhere.

    Raises:
        UsageError: There is no gallery, the target exists, its folder is missing, or it lies in the gallery's folder.
        IntegrityError: The gallery is damaged, so its archive could not be imported.
        OSError: The archive cannot be written; no part of it is left.
    """
    # Clean up even if we refuse below: an export killed at the very end leaves both its archive and its work folder.
    remove_abandoned(target)
    refuse_target(target, gallery)
    if not (gallery / DATABASE).exists():
        raise UsageError(f"There is no gallery in {gallery} to export.")
    with work_folder(target) as folder:
        database = folder / DATABASE_ENTRY
        make_private_file(database)
        with Store.open(gallery / DATABASE, read_only=True) as store:
            store.copy_to(database)
        files = {DATABASE_ENTRY: database}
        summary = _sound_summary(database)
        if with_model:
            files |= _model_files(summary, folder / "model")
        manifest = Manifest(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            twindex=__version__,
            summary=summary,
            files=tuple(described_file(name, path) for name, path in files.items()),
        )
        archive = folder / "archive"
        with private_file(archive) as stream:
            write_archive(stream, manifest, files)
        length = archive.stat().st_size
        # Audit first, then publish: no archive may exist that the audit does not list.
        audited = _recorded(gallery / DATABASE, summary)
        publish_archive(archive, target)
    return Exported(target, length, manifest, audited)


def _recorded(database: Path, summary: Summary) -> bool:
    """Record the export in the gallery's audit; False if the gallery is read-only."""
    if not may_write(database):
        return False
    with Store.open(database) as store:
        store.audit.add("export", summary.counts())
    return True


def _sound_summary(database: Path) -> Summary:
    """The copy in numbers, after every check that an import makes too."""
    with Store.open(database, read_only=True) as copy:
        if wrong := copy.unsound():
            raise IntegrityError(
                f"The gallery is damaged and was not exported, {len(wrong)} findings such as: {wrong[0]} "
                "Run `twindex doctor --repair`, then export again."
            )
        return copy.summary()


def _model_files(summary: Summary, folder: Path) -> dict[str, Path]:
    if summary.model is None:
        raise UsageError("The gallery has no active model to export; export it without --with-model.")
    bundle = copy_bundle(find_model(summary.model), folder)
    return {name: bundle.path / Path(name).name for name in MODEL_ENTRIES}
