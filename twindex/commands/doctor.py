"""`twindex doctor`: does the gallery keep its promises?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show
from twindex.errors import IntegrityError

if TYPE_CHECKING:
    from twindex.gallery.service import Gallery

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
    """Check the database, every stored template and crop, the audit, erasures, the index's snapshots and the model.

    Exits with 6 when something is wrong that was not mended.
    """
    from twindex.gallery.checkup import PENDING_ERASURE, examine, mend
    from twindex.gallery.service import Gallery

    settings = settings_of(context)
    with Gallery.open(settings.gallery, read_only=not repair) as gallery:
        findings = examine(gallery)
        mended = mend(gallery, findings) if repair else []
        left = examine(gallery) if repair else findings
        notes = _notes(gallery) if gallery.store.generations.active() else []
    pending = PENDING_ERASURE in mended
    mended = [text for text in mended if text != PENDING_ERASURE]
    remaining = [one.text for one in left] + [PENDING_ERASURE] * pending
    value = {
        "findings": [{"text": one.text, "mendable": one.mendable} for one in findings],
        "mended": mended,
        "left": remaining,
        "notes": notes,
    }
    lines = [f"{'can be mended' if one.mendable else 'damage'}: {one.text}" for one in findings]
    lines += [f"mended: {text}" for text in mended] + [PENDING_ERASURE] * pending
    lines += [f"note: {note}" for note in notes]
    sound = not remaining
    show(settings, value, [*lines, "The gallery is sound." if sound else f"{len(remaining)} findings are left."])
    return 0 if sound else IntegrityError.exit_code


def _notes(gallery: "Gallery") -> list[str]:
    """What is no damage, but worth knowing: the threshold's age, the expired, and what an approximate index keeps."""
    from twindex.gallery.threshold_age import threshold_age

    notes = [note] if (note := threshold_age(gallery).note) else []
    if expired := gallery.store.subjects.expired(datetime.now(UTC)):
        notes.append(
            f"{len(expired)} references have expired and answer no query; `twindex subjects purge` erases them."
        )
    active = gallery.active()
    recall = None if active.snapshot is None else active.snapshot.recall
    if recall is not None:
        notes.append(
            f"the index {recall.structure} keeps {100 * recall.share:.1f} % of the exact nearest references among "
            f"{recall.candidates} candidates (measured on {recall.probes} of {recall.references} references)."
        )
    return notes
