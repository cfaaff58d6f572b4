"""`twindex doctor`: does the gallery keep its promises?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show
from twindex.errors import IntegrityError

if TYPE_CHECKING:
    from twindex.gallery.doctor.findings import Finding

EXAMPLES = """\b
Examples:
  twindex doctor
  twindex doctor --repair
"""


@click.command(epilog=EXAMPLES)
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@common_options
@click.pass_context
def doctor(context: click.Context, repair: bool) -> int:
    """Check every promise: database, templates, crops, erasures, the index's snapshots, model, folder and libraries.

    Exits with 6 when something is wrong that was not mended; warnings and notes leave it at 0.
    """
    settings = settings_of(context)
    found, mended = _repaired(settings.gallery) if repair else (_found(settings.gallery), [])
    left = [one for one in found if one.severity == "error" and one not in mended]
    lines = []
    for one in found:
        state = "mended" if one in mended else one.severity
        lines.append(f"{state} ({one.code}): {one.text}")
        if one not in mended and one.severity != "note":
            lines.append(f"  {one.to_json(mended=False)['remedy']}")
    lines.append(f"{len(left)} findings are left." if left else "The gallery is sound.")
    show(settings, [one.to_json(mended=one in mended) for one in found], lines)
    return IntegrityError.exit_code if left else 0


def _found(folder: Path) -> "list[Finding]":
    """Everything that is found, without changing anything."""
    from twindex.gallery.doctor.checkup import examine, notes
    from twindex.gallery.doctor.folder_checks import check_folder, unopenable
    from twindex.gallery.service import Gallery

    try:
        with Gallery.open(folder, read_only=True) as gallery:
            inside = examine(gallery)
            return inside + check_folder(folder) + ([] if _unreadable(inside) else notes(gallery))
    except IntegrityError as error:
        return [unopenable(folder, error), *check_folder(folder)]


def _repaired(folder: Path) -> "tuple[list[Finding], list[Finding]]":
    """What was found before and what is new after mending, and which of it is mended."""
    from twindex.gallery.doctor.checkup import PENDING_ERASURE, examine, mend
    from twindex.gallery.doctor.findings import REPAIR, Finding
    from twindex.gallery.doctor.folder_checks import check_folder, unopenable
    from twindex.gallery.service import Gallery

    before = check_folder(folder)
    try:
        with Gallery.open(folder) as gallery:
            before = examine(gallery) + before
            # A database with definitions of somebody else is not written to: they might run.
            done = [] if any(one.code == "schema" for one in before) else mend(gallery, before)
    except IntegrityError as error:
        return [unopenable(folder, error), *before], []
    after = _found(folder)
    mended = [one for one in before if one.text in done and one not in after]
    pending = Finding(PENDING_ERASURE, code="erasure_pending", advice=REPAIR)
    return [*mended, *after, *([pending] if PENDING_ERASURE in done else [])], mended


def _unreadable(found: "list[Finding]") -> bool:
    return any(one.code in ("schema", "value") for one in found)
