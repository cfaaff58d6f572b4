"""Which photos a batch enrolment is about: folders, files and manifests become (path, subject) items."""

import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from twindex.embedder.photos.files import is_photo, photos_below
from twindex.errors import UsageError
from twindex.storage import subject_name
from twindex.storage.values.terms import NO_TERMS, Terms, parse_terms

_log = logging.getLogger(__name__)
MANIFEST_COLUMNS = ("path", "subject")
OPTIONAL_COLUMNS = ("consent", "expires")
MAX_MANIFEST_BYTES = 64 * 2**20  # about a million rows


@dataclass(frozen=True)
class PlannedPhoto:
    """A photo to enrol: its path, as the job keeps it, the subject it shows, and the terms under which it is held."""

    path: str
    subject: str
    terms: Terms = NO_TERMS


def plan_paths(paths: list[Path], subject: str | None, terms: Terms = NO_TERMS) -> Iterator[PlannedPhoto]:
    """Photos named on the command line, all under the same terms.

    With a `subject`, every file and every photo below every folder shows that subject. Without, each path is a folder
    whose sub-folders are subjects; photos may lie at any depth below them. Links to folders are not followed.

    Paths are made absolute, so that the job can be resumed from anywhere. A missing one among others is planned too, so
    that it fails as one photo.

    Raises:
        UsageError: All paths are missing, or one where no subject can be told of it, or a photo lies where none can.
    """
    absolute = [path.absolute() for path in paths]
    missing = [path for path in absolute if not path.exists()]
    if missing and (subject is None or missing == absolute):
        raise UsageError(f"{missing[0]} does not exist.")
    for path in absolute:
        if subject is not None:
            files = [path] if not path.is_dir() else photos_below(path)
            yield from (PlannedPhoto(str(file), subject, terms) for file in files)
        elif path.is_dir():
            yield from _subject_folders(path, terms)
        else:
            raise UsageError(
                f"{path} is a file: say who it shows with --subject NAME, or give a folder of sub-folders."
            )


def plan_manifest(manifest: Path, terms: Terms = NO_TERMS) -> Iterator[PlannedPhoto]:
    """Photos listed in a CSV file with the columns `path` and `subject`, UTF-8; paths start at the file's folder.

    The columns `consent` and `expires` may be there too; where one is missing or empty, `terms` stand in. A link in the
    manifest's folder may not lead out of it either.

    Raises:
        UsageError: The file cannot be read, or a column is missing, or a row has no path or subject, names a photo
            outside the manifest's folder, or has a subject, a consent or an expiry that cannot be stored.
    """
    home, now = manifest.parent.resolve(), datetime.now(UTC)
    try:
        with StringIO(_text(manifest), newline="") as opened:
            rows = csv.DictReader(opened, strict=True)
            given = tuple(rows.fieldnames or ())
            if not set(MANIFEST_COLUMNS) <= set(given):
                raise UsageError(
                    f"{manifest.name} needs a first line with the columns path and subject, separated by a comma; "
                    f"got {', '.join(map(repr, given)) or 'nothing'}."
                )
            for row in rows:
                where = f"{manifest.name}, line {rows.line_num}"
                photo = _listed(row, where, manifest, home)
                yield replace(photo, terms=_terms(row, where, terms, now))
    except csv.Error as error:
        raise UsageError(f"{manifest.name} is not a CSV file: {error}. Save it as CSV, UTF-8.") from error


def _text(manifest: Path) -> str:
    if not manifest.is_file():
        what = "is not a file" if manifest.exists() else "does not exist"
        raise UsageError(f"{manifest} {what}; --manifest takes a CSV file with the columns path and subject.")
    length = manifest.stat().st_size
    if length > MAX_MANIFEST_BYTES:
        raise UsageError(
            f"{manifest.name} has {length} bytes; a manifest of at most {MAX_MANIFEST_BYTES} is read. Split it."
        )
    try:
        return manifest.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{manifest.name} is not in UTF-8 (byte {error.start} is {error.object[error.start]:#04x}). "
            'Save it as "CSV UTF-8".'
        ) from error


def _terms(row: dict[str, str | None], where: str, otherwise: Terms, now: datetime) -> Terms:
    try:
        given = parse_terms(row.get("consent"), row.get("expires"), now)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return Terms(given.consent or otherwise.consent, given.expires or otherwise.expires)


def _subject_folders(root: Path, terms: Terms) -> Iterator[PlannedPhoto]:
    loose = sorted(entry.name for entry in root.iterdir() if entry.is_file() and is_photo(entry.name))
    if loose:
        raise UsageError(
            f"{root} holds {len(loose)} photos outside any sub-folder, such as {loose[0]}: "
            "put each subject's photos in a folder of their name, or say who they show with --subject NAME."
        )
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if folder.is_symlink():
            _log.warning("%s is left out: links to folders are not followed.", folder)
            continue
        yield from (PlannedPhoto(str(photo), folder.name, terms) for photo in photos_below(folder))


def _listed(row: dict[str, str | None], where: str, manifest: Path, home: Path) -> PlannedPhoto:
    path, subject = (row.get(column) or "" for column in MANIFEST_COLUMNS)
    if not path.strip() or not subject.strip():
        raise UsageError(f"{where}: path and subject must both be given.")
    if not _resolved(home / path, where).is_relative_to(home):
        raise UsageError(
            f"{where}: {path} lies outside the manifest's folder. Put photos beside or below the manifest."
        )
    try:
        subject_name(subject.strip())
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return PlannedPhoto(str(manifest.parent.absolute() / path), subject.strip())


def _resolved(photo: Path, where: str) -> Path:
    try:
        return photo.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # A loop of links is a RuntimeError before Python 3.13; a zero byte is a ValueError.
        raise UsageError(f"{where}: {photo.name!r} cannot be the path of a photo ({error}).") from error
