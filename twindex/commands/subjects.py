"""`twindex subjects`: the enrolled people."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twindex.commands.erasing import erase_subject, purge_expired
from twindex.commands.options import common_options, open_store, settings_of
from twindex.commands.terminal import say, show, table
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.storage import ReferenceRecord

EXAMPLES = """\b
Examples:
  twindex subjects list
  twindex subjects rename "ada l" "Ada Lovelace"
  twindex subjects annotate "Ada Lovelace" team=engines badge=12
  twindex subjects merge "Ada (2)" "Ada Lovelace"
  twindex subjects export "Ada Lovelace" ada.zip
  twindex subjects erase "Ada Lovelace"
  twindex subjects purge --dry-run               whose references have expired
"""


@click.group(epilog=EXAMPLES)
def subjects() -> None:
    """List, show, rename, annotate, merge, export, erase and purge enrolled people."""


@subjects.command("list")
@common_options
@click.pass_context
def list_subjects(context: click.Context) -> None:
    """List the subjects with the number of their references."""
    with open_store(context, read_only=True) as store:
        summaries = store.subjects.list()
    value = [{"subject": summary.subject, "references": summary.references} for summary in summaries]
    rows = [(summary.subject, summary.references) for summary in summaries]
    show(settings_of(context), value, table(("subject", "references"), rows))


@subjects.command("show")
@click.argument("name")
@common_options
@click.pass_context
def show_subject(context: click.Context, name: str) -> None:
    """Show what the gallery holds about NAME."""
    with open_store(context, read_only=True) as store:
        detail = store.subjects.show(name)
    value = {
        "id": detail.id,
        "subject": detail.subject,
        "created": detail.created.isoformat(),
        "metadata": detail.metadata,
        "references": [_reference(record) for record in detail.references],
    }
    rows = [
        (
            record.reference,
            record.source_name,
            f"{record.quality:.0f}",
            record.enrolled.strftime("%Y-%m-%d %H:%M"),
            _expiry(record.terms.expires),
            record.terms.consent or "",
        )
        for record in detail.references
    ]
    lines = [f"{detail.subject}, subject {detail.id}, enrolled since {detail.created:%Y-%m-%d}"]
    if detail.metadata:
        lines.append(json.dumps(detail.metadata, ensure_ascii=False))
    show(
        settings_of(context),
        value,
        lines + table(("reference", "photo", "sharpness", "enrolled", "expires", "consent"), rows),
    )


@subjects.command("rename")
@click.argument("name")
@click.argument("new_name")
@common_options
@click.pass_context
def rename_subject(context: click.Context, name: str, new_name: str) -> None:
    """Give NAME the name NEW_NAME; nothing is embedded again."""
    from twindex.storage.values.names import subject_name

    with open_store(context) as store:
        store.subjects.rename(name, new_name)
    was, now = subject_name(name), subject_name(new_name)
    show(settings_of(context), {"subject": now, "was": was}, [f"{was} is now {now}"])


@subjects.command("annotate")
@click.argument("name")
@click.argument("entries", nargs=-1, required=True, metavar="KEY=VALUE...")
@common_options
@click.pass_context
def annotate_subject(context: click.Context, name: str, entries: tuple[str, ...]) -> None:
    """Keep notes about NAME, such as team=engines; KEY= alone removes an entry."""
    from twindex.storage.values.names import subject_name

    pairs = [entry.partition("=") for entry in entries]
    for entry, (key, equals, _) in zip(entries, pairs, strict=True):
        if not key.strip() or not equals:
            raise UsageError(f"Expected KEY=VALUE, got {entry!r}.")
    with open_store(context) as store:
        metadata = store.subjects.annotate(name, {key.strip(): value or None for key, _, value in pairs})
    value = {"subject": subject_name(name), "metadata": metadata}
    show(settings_of(context), value, [f"{subject_name(name)}: {json.dumps(metadata, ensure_ascii=False)}"])


@subjects.command("merge")
@click.argument("source")
@click.argument("target")
@common_options
@click.pass_context
def merge_subjects(context: click.Context, source: str, target: str) -> None:
    """Move every reference of SOURCE to TARGET, because they are the same person."""
    from twindex.storage.values.names import subject_name

    with open_store(context) as store:
        moved = store.subjects.merge(source, target)
    merged, subject = subject_name(source), subject_name(target)
    value = {"subject": subject, "merged": merged, "references": moved}
    show(settings_of(context), value, [f"{moved} references of {merged} now belong to {subject}"])


@subjects.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
@click.pass_context
def export_subject(context: click.Context, name: str, file: Path) -> None:
    """Write everything held about NAME to FILE, a new ZIP archive: templates, crops, terms, jobs and audit."""
    from twindex.storage.values.names import subject_name

    with open_store(context) as store:
        references = store.export_subject(name, file)
    subject = subject_name(name)
    value = {"subject": subject, "file": str(file), "references": references}
    show(settings_of(context), value, [f"{file}: {references} references of {subject}"])
    say("The file is as sensitive as the photographs: give it to nobody else, and delete your copy once handed over.")


subjects.add_command(erase_subject)
subjects.add_command(purge_expired)


def _expiry(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d %H:%M}" + (" (expired)" if moment <= datetime.now(UTC) else "")


def _reference(record: "ReferenceRecord") -> dict[str, Any]:
    box = None if record.face is None else record.face.box
    return {
        "reference": record.reference,
        "photo": record.source_name,
        "sha256": record.source_sha256,
        "face": record.face_index,
        "box": None if box is None else [box.x, box.y, box.width, box.height],
        "quality": record.quality,
        "enrolled": record.enrolled.isoformat(),
        "crop": record.has_crop,
        "consent": record.terms.consent,
        "expires": None if record.terms.expires is None else record.terms.expires.isoformat(),
    }
