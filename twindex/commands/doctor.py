"""`twindex doctor`: does the gallery keep its promises?"""

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show
from twindex.errors import IntegrityError

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
    """Check the database, every stored template and crop, the index's snapshots, the model and the threshold's age.

    Exits with 6 when something is wrong that was not mended.
    """
    from twindex.gallery.checkup import PENDING_ERASURE, examine, mend
    from twindex.gallery.service import Gallery
    from twindex.gallery.threshold_age import threshold_age

    settings = settings_of(context)
    with Gallery.open(settings.gallery, read_only=not repair) as gallery:
        findings = examine(gallery)
        mended = mend(gallery, findings) if repair else []
        left = examine(gallery) if repair else findings
        note = threshold_age(gallery).note if gallery.store.generations.active() else ""
    pending = PENDING_ERASURE in mended
    mended = [text for text in mended if text != PENDING_ERASURE]
    remaining = [one.text for one in left] + [PENDING_ERASURE] * pending
    value = {
        "findings": [{"text": one.text, "mendable": one.mendable} for one in findings],
        "mended": mended,
        "left": remaining,
        "notes": [note] if note else [],
    }
    lines = [f"{'can be mended' if one.mendable else 'damage'}: {one.text}" for one in findings]
    lines += [f"mended: {text}" for text in mended] + [PENDING_ERASURE] * pending
    lines += [f"note: {note}"] if note else []
    sound = not remaining
    show(settings, value, [*lines, "The gallery is sound." if sound else f"{len(remaining)} findings are left."])
    return 0 if sound else IntegrityError.exit_code
