"""`twindex subjects`: the enrolled people."""

import json
from typing import Any

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import say, show, table
from twindex.errors import UsageError

EXAMPLES = """\b
Examples:
  twindex subjects list
  twindex subjects rename "ada l" "Ada Lovelace"
  twindex subjects merge "Ada (2)" "Ada Lovelace"
  twindex subjects erase "Ada Lovelace" --yes
"""


@click.group(epilog=EXAMPLES)
def subjects() -> None:
    """List, show, rename, merge and erase the enrolled."""


@subjects.command("list")
@common_options
@click.pass_context
def list_subjects(context: click.Context) -> None:
    """List the subjects with the number of their references."""
    with open_store(context, read_only=True) as store:
        found = store.subjects.list()
    value = [{"subject": one.subject, "references": one.references} for one in found]
    rows = [(one.subject, one.references) for one in found]
    show(settings_of(context), value, table(("subject", "references"), rows))


@subjects.command("show")
@click.argument("name")
@common_options
@click.pass_context
def show_subject(context: click.Context, name: str) -> None:
    """Show what is held about NAME."""
    with open_store(context, read_only=True) as store:
        detail = store.subjects.show(name)
    value = {
        "subject": detail.subject,
        "created": detail.created.isoformat(),
        "metadata": detail.metadata,
        "references": [_reference(one) for one in detail.references],
    }
    rows = [
        (one.reference, one.source_name, f"{one.quality:.0f}", one.enrolled.strftime("%Y-%m-%d %H:%M"))
        for one in detail.references
    ]
    lines = [f"{detail.subject}, enrolled since {detail.created:%Y-%m-%d}"]
    if detail.metadata:
        lines.append(json.dumps(detail.metadata, ensure_ascii=False))
    show(settings_of(context), value, lines + table(("reference", "photo", "sharpness", "enrolled"), rows))


@subjects.command("rename")
@click.argument("name")
@click.argument("new_name")
@common_options
@click.pass_context
def rename_subject(context: click.Context, name: str, new_name: str) -> None:
    """Give NAME the name NEW_NAME; nothing is embedded again."""
    with open_store(context) as store:
        store.subjects.rename(name, new_name)
    show(settings_of(context), {"subject": new_name, "was": name}, [f"{name} is now {new_name}"])


@subjects.command("merge")
@click.argument("source")
@click.argument("target")
@common_options
@click.pass_context
def merge_subjects(context: click.Context, source: str, target: str) -> None:
    """Move every reference of SOURCE to TARGET; they are the same person."""
    with open_store(context) as store:
        moved = store.subjects.merge(source, target)
    value = {"subject": target, "merged": source, "references": moved}
    show(settings_of(context), value, [f"{moved} references of {source} now belong to {target}"])


@subjects.command("erase")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@click.pass_context
def erase_subject(context: click.Context, name: str, yes: bool) -> None:
    """Erase NAME: templates, crops, and every index file that may hold them."""
    from twindex.gallery.service import Gallery

    settings = settings_of(context)
    with Gallery.open(settings.gallery) as gallery:
        held = len(gallery.store.subjects.show(name).references)
        if not yes and not _confirmed(f"Erase {name} with {held} references for good?"):
            raise UsageError("Nothing was erased; --yes erases without asking.")
        erasure = gallery.erase(name)
    status = "pending" if erasure.pending else "erased"
    value = {
        "subject": name,
        "status": status,
        "references": len(erasure.references),
        "samples": erasure.samples,
    }
    if erasure.pending:
        say("Another process is reading the database; its journal still holds bytes. Run `twindex doctor --repair`.")
    show(settings, value, [f"{name}: {status}, {len(erasure.references)} references, {erasure.samples} samples"])


def _confirmed(question: str) -> bool:
    """Whether the user agrees; nobody to ask is a no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        return False


def _reference(one: Any) -> dict[str, Any]:
    box = None if one.face is None else one.face.box
    return {
        "reference": one.reference,
        "photo": one.source_name,
        "sha256": one.source_sha256,
        "face": one.face_index,
        "box": None if box is None else [box.x, box.y, box.width, box.height],
        "quality": one.quality,
        "enrolled": one.enrolled.isoformat(),
        "crop": one.has_crop,
    }


def open_store(context: click.Context, *, read_only: bool = False) -> Any:
    """The gallery's database alone: no index and no model are loaded for these commands."""
    from twindex.config import DATABASE
    from twindex.storage.store import Store

    path = settings_of(context).gallery / DATABASE
    if not path.exists():
        raise UsageError(f"There is no gallery in {path.parent}; `twindex enroll` makes one.")
    return Store.open(path, read_only=read_only)
