"""`twindex doctor`: does the gallery keep its promises?"""

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

    Exits with 6 if something is wrong that was not mended. Warnings and notes leave the status at 0.
    """
    from twindex.gallery.doctor.diagnosis import diagnose

    settings = settings_of(context)
    findings = diagnose(settings.gallery, repair=repair)
    unresolved = sum(finding.unresolved for finding in findings)
    lines = [line for finding in findings for line in _lines(finding)]
    lines.append(f"{unresolved} findings are left." if unresolved else "The gallery is sound.")
    show(settings, [finding.to_json() for finding in findings], lines)
    return IntegrityError.exit_code if unresolved else 0


def _lines(finding: "Finding") -> list[str]:
    """The finding, with its remedy below unless nothing needs to be done."""
    state = "mended" if finding.mended else finding.severity
    text = f"{state} ({finding.code}): {finding.text}"
    return [text] if finding.mended or finding.severity == "note" else [text, f"  {finding.instruction}"]
