"""Where an archive of a gallery may be written, and how a finished archive gets its name."""

import os
from pathlib import Path

from twindex.errors import UsageError
from twindex.files.durable import publish


def refuse_target(target: Path, gallery: Path) -> None:
    """Refuse a place where an archive of a gallery must not be written.

    Args:
        target: The archive to make.
        gallery: The gallery's folder.

    Raises:
        UsageError: The target exists, its folder is missing, or it lies in the gallery's folder.
    """
    if os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {str(target.parent)!r} to write the archive to; make it first.")
    refuse_inside(target, gallery, repr(str(target)), "write the archive elsewhere")


def refuse_inside(target: Path, gallery: Path, named: str, remedy: str) -> None:
    """Refuse a file in a gallery's own folder.

    Args:
        target: The file to make.
        gallery: The gallery's folder.
        named: The file's name in the message.
        remedy: What to do instead.

    Raises:
        UsageError: The file lies in the gallery's folder.
    """
    if target.resolve().is_relative_to(gallery.resolve()):
        raise UsageError(
            f"{named} lies in the gallery's own folder, where an erasure must leave nothing about a person; {remedy}."
        )


def publish_archive(archive: Path, target: Path) -> None:
    """Give a finished archive its name; see `publish`.

    Raises:
        UsageError: Something has taken the name meanwhile.
        OSError: The archive cannot take the name.
    """
    try:
        publish(archive, target)
    except FileExistsError as error:
        raise _exists(target) from error


def _exists(target: Path) -> UsageError:
    return UsageError(f"{str(target)!r} exists already; an archive never replaces a file. Choose another name.")
