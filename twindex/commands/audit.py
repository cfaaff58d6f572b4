"""`twindex audit`: who did what, and when."""

import json

import click

from twindex.commands.options import ROW_NUMBER, common_options, open_store, settings_of
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

    Subjects appear as numbers, which `twindex subjects show` prints too. Rows hold no name, template or crop, and can
    only be added.
    """
    with open_store(context, read_only=True) as store:
        acts = store.audit.rows(last)
    rows = [
        (
            act.id,
            f"{act.time:%Y-%m-%d %H:%M:%S}",
            act.actor,
            act.action,
            ", ".join(map(str, act.subjects)),
            json.dumps(act.details),
        )
        for act in acts
    ]
    headings = ("row", "time (UTC)", "who", "action", "subjects", "details")
    show(settings_of(context), [act.to_json() for act in acts], table(headings, rows))
