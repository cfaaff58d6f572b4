"""`twindex subjects erase` and `twindex subjects purge`: erase without a trace, and print a receipt."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import say, show, table
from twindex.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from twindex.gallery.erasing import Receipt

_WHERE = {
    "journal": "another process reads the database, whose journal or file may hold erased bytes",
    "database": "the database holds erased bytes",
    "index": "another process has written an index file",
    "other": "a file in the gallery's folder that is not the gallery's holds erased bytes",
    "unreadable": "a file in the gallery's folder could not be read",
}


@click.command("erase")
@click.argument("name")
@click.option(
    "--yes", is_flag=True, help="Do not ask. With --json, or without a terminal to answer at, nothing is asked either."
)
@common_options
@click.pass_context
def erase_subject(context: click.Context, name: str, yes: bool) -> int:
    """Erase NAME: templates, crops, and every index file that may hold them.

    Afterwards every file of the gallery is searched for the erased bytes. A receipt says what was done, and the audit
    keeps it. Its result is "erased", or "pending" (exit 6) if something still holds the bytes: then
    `twindex doctor --repair` finishes the erasure.
    """
    from twindex.gallery.service import Gallery

    settings = settings_of(context)
    with Gallery.open(settings.gallery) as gallery:
        held = gallery.store.subjects.show(name)
        asks = not yes and not settings.json and sys.stdin is not None and sys.stdin.isatty()
        if asks and not _agreed(f"Erase {held.subject} with {len(held.references)} references for good?"):
            raise UsageError("Nothing was erased.")
        receipt = gallery.erase(name)
    value = {
        "subject": held.subject,
        "status": receipt.result,
        "references": len(receipt.references),
        "samples": receipt.samples,
        "receipt": receipt.to_json(),
    }
    show(settings, value, [f"{held.subject}: {_summary(receipt)}"])
    return _status([receipt])


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Only list the references that have expired.")
@common_options
@click.pass_context
def purge_expired(context: click.Context, dry_run: bool) -> int:
    """Erase every expired reference, and the subjects left without any.

    It never asks, so that it can run every day. Its receipts are those of `subjects erase`.
    """
    from twindex.gallery.service import Gallery

    settings, now = settings_of(context), datetime.now(UTC)
    with Gallery.open(settings.gallery, read_only=dry_run) as gallery:
        expired = gallery.store.subjects.expired(now)
        receipts = [] if dry_run or not expired else gallery.purge(now)
    value = {
        "expired": [
            {"reference": entry.reference, "subject": entry.subject, "expires": entry.expires.isoformat()}
            for entry in expired
        ],
        "receipts": [receipt.to_json() for receipt in receipts],
    }
    rows = [(entry.reference, entry.subject, f"{entry.expires:%Y-%m-%d %H:%M}") for entry in expired]
    lines = table(("reference", "subject", "expired"), rows) if rows else ["Nothing has expired."]
    show(settings, value, [*lines, *map(_summary, receipts)])
    return _status(receipts)


def _agreed(question: str) -> bool:
    """Ask; the end of the input (Ctrl-D) counts as no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as end:
        if isinstance(end.__context__, EOFError):
            return False
        raise


def _summary(receipt: "Receipt") -> str:
    return (
        f"{receipt.result}, {len(receipt.references)} references, {receipt.samples} samples; searched "
        f"{receipt.files} files, {receipt.bytes} bytes (receipt: audit {receipt.erasure})"
    )


def _status(receipts: list["Receipt"]) -> int:
    """Print what keeps erasures pending, and return the exit status."""
    pending = [receipt for receipt in receipts if receipt.result == "pending"]
    for receipt in pending:
        for place in receipt.found_in:
            say(f"pending: {_WHERE[place]}")
        for file in receipt.files_left:
            say(f"pending: {file}")
    if pending:
        say("Once that is settled, `twindex doctor --repair` finishes the erasure.")
    return IntegrityError.exit_code if pending else 0
