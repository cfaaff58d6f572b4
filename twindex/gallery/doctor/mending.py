"""Carry out the remedies that findings name."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from twindex.errors import IntegrityError
from twindex.gallery.doctor.findings import Finding
from twindex.gallery.doctor.folder_checks import close_to_others
from twindex.gallery.erasing import finish
from twindex.gallery.service import Gallery

_PAGE = 256
PENDING_ERASURE = (
    "An erasure is still pending: another process reads the database, whose journal may hold erased bytes; "
    "run `twindex doctor --repair` again when it has finished."
)


def mend(gallery: Gallery, findings: list[Finding]) -> list[str]:
    """Carry out each finding's remedy, and finish pending erasures.

    Returns:
        The text of each finding mended. `PENDING_ERASURE` follows if the journal may still hold erased bytes that no
        finding is about.
    """
    mended: list[str] = []
    carried_out: list[Finding] = []
    for finding in findings:
        if finding.remedy == "finish_erasure":
            row = gallery.store.audit.get(finding.erasure)
            if finish(gallery.store, gallery.folder, gallery.snapshots, row).result == "erased":
                mended.append(finding.text)
            continue
        if finding.mendable:
            _carry_out(gallery, finding)
            mended.append(finding.text)
            carried_out.append(finding)
    # Erasures recorded in the audit are reported by the next check.
    known = any(finding.erasure for finding in findings)
    pending = [] if known or gallery.store.finish_erasure() else [PENDING_ERASURE]
    if carried_out:
        gallery.store.audit.add("repair", {"mended": dict(Counter(finding.code for finding in carried_out))})
        if gallery.store.generations.active() is not None:
            gallery.searchable().compact()
    return mended + pending


def _carry_out(gallery: Gallery, finding: Finding) -> None:
    """Mend one finding. "change_journal" has no case here: opening the database for writing has changed it."""
    store = gallery.store
    match finding.remedy:
        case "forget_snapshot":
            _forget_snapshot(gallery, finding.generation, finding.file)
        case "unlink_file":
            store.generations.remove_unlisted(gallery.snapshots)
        case "embed_again":
            _embed_again(gallery, finding.reference, finding.model)
        case "embed_missing":
            _embed_missing(gallery, finding.model)
            snapshot = store.generations.get(finding.generation).snapshot
            _forget_snapshot(gallery, finding.generation, "" if snapshot is None else snapshot.file)
        case "erase_orphans":
            store.erase_orphans()
        case "log_enrolments":
            store.log_enrolments()
        case "raise_counters":
            store.raise_counters()
        case "remove_leftover":
            path = Path(finding.file)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        case "close_to_others":
            close_to_others(Path(finding.file))


def _forget_snapshot(gallery: Gallery, generation: int, file: str) -> None:
    gallery.store.generations.forget_snapshot(generation)
    if file:
        (gallery.snapshots / file).unlink(missing_ok=True)


def _embed_again(gallery: Gallery, reference: int, model: str) -> None:
    """Replace a damaged template with one made from the kept crop."""
    crop = gallery.store.references.crop(reference)
    if crop is None:
        raise IntegrityError(f"The crop of reference {reference} is gone; run `twindex doctor` again.")
    vector = gallery.embedder(model).embed_kept([crop])[0]
    gallery.store.references.replace_template(model, reference, vector)


def _embed_missing(gallery: Gallery, model: str) -> None:
    """Make the model's template for every reference that has a crop but no such template."""
    after = 0
    while page := gallery.store.references.missing(model, after, _PAGE):
        kept = [(item.reference, item.crop) for item in page if item.crop is not None]
        if kept:
            templates = gallery.embedder(model).embed_kept([crop for _, crop in kept])
            references = np.array([reference for reference, _ in kept], np.int64)
            gallery.store.references.add_templates(model, references, templates)
        after = page[-1].reference
