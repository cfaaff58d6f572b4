"""Importing a gallery from an archive: everything is checked in a work folder before the gallery appears."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from twindex.archive.container import Archive
from twindex.archive.manifest import DATABASE_ENTRY, Manifest
from twindex.config import DATABASE
from twindex.embedder.model.bundle import load_bundle
from twindex.embedder.model.registry import install_model, list_models
from twindex.encryption.keys import environment_key, matching_keys
from twindex.errors import ArchiveError, EncryptionKeyError, ModelMismatchError, TwindexError, UsageError
from twindex.files.durable import private_file, publish
from twindex.files.work_folder import remove_abandoned, work_folder
from twindex.storage import Store
from twindex.storage.sqlite.journal import read_header


@dataclass(frozen=True)
class Imported:
    """An imported gallery, the manifest of its archive, and whether a model was installed with it."""

    gallery: Path
    manifest: Manifest
    model_installed: bool


def import_gallery(archive: Path, gallery: Path, *, without_model: bool = False) -> Imported:
    """Make a gallery from an archive. The gallery keeps its id.

    Args:
        archive: An archive that `export_gallery` wrote.
        gallery: The folder to make. It may exist, but must not hold a gallery.
        without_model: Ignore the archive's model, and import even if the gallery's active model is not installed.

    Raises:
        UsageError: The archive does not exist, the folder holds a gallery, or the archive's model is installed with
            another card.
        ArchiveError: The file was changed, or never was an archive; nothing is left of the import.
        ModelMismatchError: The active model is neither installed nor in the archive.
        OSError: The gallery cannot be written.
    """
    # Clean up even if we refuse below: an import killed at the very end leaves both its gallery and its work folder.
    remove_abandoned(gallery.absolute())
    if os.path.lexists(gallery / DATABASE):
        raise _holds_one(gallery)
    if not archive.exists():
        raise UsageError(f"There is no archive {str(archive)!r}.")
    if not archive.is_file():
        raise UsageError(f"{str(archive)!r} is not a regular file; name the file that `twindex export` wrote.")
    with archive.open("rb") as stream:
        opened = Archive(stream)
        if not without_model:
            _refuse_unknown_model(opened.manifest)
        gallery.absolute().parent.mkdir(parents=True, exist_ok=True)
        with work_folder(gallery.absolute()) as folder:
            _unpack(opened, folder)
            _check_database(folder / DATABASE_ENTRY, opened.manifest, archive)
            installed = not without_model and _install(folder / "model", opened.manifest)
            _publish(folder / DATABASE_ENTRY, gallery)
    return Imported(gallery, opened.manifest, installed)


def _unpack(opened: Archive, folder: Path) -> None:
    for file in opened.manifest.files:
        target = folder / file.name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with private_file(target) as stream:
            opened.extract(file, stream.write)


def _publish(database: Path, gallery: Path) -> None:
    gallery.mkdir(exist_ok=True)
    try:
        publish(database, gallery / DATABASE)
    except FileExistsError as error:
        raise _holds_one(gallery) from error


def _check_database(path: Path, manifest: Manifest, archive: Path) -> None:
    """Refuse a database that is not a sound gallery, or not the one that the manifest describes.

    An archive holds no snapshots, so the database's list of snapshots is cleared.
    """
    try:
        # Check the key here, so that messages about it name the archive, which is the file that the user knows.
        matching_keys(archive, read_header(path).encryption, environment_key(), what="archive")
        # Check the schema before anything is written: a stranger's triggers must not run, not even during migration.
        wrong = Store.foreign_definitions(path)
        if not wrong:
            with Store.open(path) as store:
                wrong = store.unsound() or _differences(store, manifest)
                if not wrong:
                    store.forget_snapshots()
                    store.audit.add("import", manifest.summary.counts())
    except EncryptionKeyError:
        raise
    except TwindexError as error:
        raise ArchiveError("archive_database", f"The archive's database is refused: {error}") from error
    if wrong:
        raise ArchiveError(
            "archive_database",
            f"The archive's database is refused, {len(wrong)} findings such as: {wrong[0]} Export the gallery again.",
        )


def _differences(store: Store, manifest: Manifest) -> list[str]:
    # Opening the database has migrated an older schema, so leave its version out of the comparison.
    found = asdict(replace(store.summary(), schema=manifest.summary.schema))
    described = asdict(manifest.summary)
    return [
        f"{name} is {found[name]}, its manifest says {described[name]}."
        for name in found
        if found[name] != described[name]
    ]


def _refuse_unknown_model(manifest: Manifest) -> None:
    wanted = manifest.summary.model
    if wanted is None or manifest.holds_model or wanted in {model.fingerprint for model in list_models()}:
        return
    raise ModelMismatchError(
        f"The archive's gallery answers with model {wanted}, which is not installed here. Install it with `twindex "
        "models install FOLDER`, or export with --with-model; or import with --without-model and move the gallery to "
        "an installed model with `twindex reindex --model`."
    )


def _install(folder: Path, manifest: Manifest) -> bool:
    """Install the archive's model; False if the archive has none, or the model was installed before."""
    if not manifest.holds_model:
        return False
    bundle = load_bundle(folder)
    if bundle.card.fingerprint != manifest.summary.model:
        raise ArchiveError(
            "archive_manifest",
            f"The archive holds model {bundle.card.fingerprint[:12]}, but its gallery answers with another; "
            "do not trust this file.",
        )
    known = any(model.fingerprint == bundle.card.fingerprint for model in list_models())
    try:
        install_model(folder)
    except UsageError as error:
        text = f"The archive's model cannot be installed: {error} Or import with --without-model to leave it out."
        raise UsageError(text) from error
    return not known


def _holds_one(gallery: Path) -> UsageError:
    return UsageError(
        f"There is a gallery in {str(gallery)!r} already; an import never replaces one. Give another --gallery folder."
    )
