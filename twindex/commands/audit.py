"""`twindex audit`: who did what, and when."""

import json

import click

from twindex.commands.options import ROW_NUMBER, common_options, settings_of
from twindex.commands.subjects import open_store
from twindex.commands.terminal import show, table

EXAMPLES = """\b
Examples:
  twindex audit --last 20
  twindex --json audit | jq '.[] | select(.action == "erase")'
"""


@click.command(epilog=EXAMPLES)
@click.option("--last", type=ROW_NUMBER, metavar="N", help="Only the last N rows.")
@common_options
@click.pass_context
def audit(context: click.Context, last: int | None) -> None:
    """List what was done to the gallery: by whom, when, and to which subjects.

    Subjects are numbers, which `twindex subjects show` tells too; rows hold no name, template or crop, and can only be
    added.
    """
    with open_store(context, read_only=True) as store:
        found = store.audit.rows(last)
    rows = [
        (
            one.id,
            f"{one.time:%Y-%m-%d %H:%M:%S}",
            one.actor,
            one.action,
            ", ".join(map(str, one.subjects)),
            json.dumps(one.details),
        )
        for one in found
    ]
    headings = ("row", "time (UTC)", "who", "action", "subjects", "details")
    show(settings_of(context), [one.to_json() for one in found], table(headings, rows))
