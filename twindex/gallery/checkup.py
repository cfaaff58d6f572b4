"""Check a gallery's promises, and mend what can be mended."""

from dataclasses import dataclass
from typing import Literal

from twindex.embedder.alignment import decode_crop
from twindex.embedder.registry import find_model
from twindex.errors import IntegrityError, ModelMismatchError, UsageError
from twindex.gallery.erasing import finish
from twindex.gallery.searchable import open_snapshot
from twindex.gallery.service import Gallery
from twindex.storage import Damage

Remedy = Literal["none", "forget_snapshot", "unlink_file", "embed_again", "finish_erasure"]
PENDING_ERASURE = (
    "An erasure is still pending: another process reads the database, whose journal may hold erased bytes; "
    "run `twindex doctor --repair` again when it has finished."
)


@dataclass(frozen=True)
class Finding:
    """Something that is not as promised.

    Attributes:
        text: One sentence for people.
        remedy: What mends it, or "none" for damage to the truth itself.
        generation: Whose snapshot it is about, or 0.
        file: The file it is about, or "".
        reference: Whose damaged template it is about, or 0.
        erasure: Which row of the audit it is about, or 0.
        model: The fingerprint of that template's model, or "".
    """

    text: str
    remedy: Remedy = "none"
    generation: int = 0
    file: str = ""
    reference: int = 0
    model: str = ""
    erasure: int = 0

    @property
    def mendable(self) -> bool:
        return self.remedy != "none"


def examine(gallery: Gallery) -> list[Finding]:
    """All findings; an empty list means that every promise that can be checked here holds."""
    findings = [_damage(gallery, damage) for damage in gallery.store.check()]
    findings += _erasures(gallery)
    active = gallery.store.generations.active()
    if active is None:
        return [*findings, Finding("No generation is active.")]
    findings += _model(gallery, active.fingerprint)
    findings += _snapshots(gallery)
    total = gallery.store.references.count()
    searchable = gallery.store.references.count(active.fingerprint)
    if searchable != total:
        findings.append(Finding(f"{total - searchable} references have no template of the active model."))
    return findings


def mend(gallery: Gallery, findings: list[Finding]) -> list[str]:
    """Carry out each finding's remedy, and finish what an erasure left pending.

    Returns:
        A sentence for each finding mended, and `PENDING_ERASURE` while bytes of an erasure that the audit does not
        know cannot be removed yet.
    """
    mended, rebuilt = [], False
    for finding in findings:
        if finding.remedy == "finish_erasure":
            row = gallery.store.audit.get(finding.erasure)
            if finish(gallery.store, gallery.folder, gallery.snapshots, row).result == "erased":
                mended.append(finding.text)
            continue
        if finding.remedy == "forget_snapshot":
            gallery.store.generations.forget_snapshot(finding.generation)
        if finding.remedy in ("forget_snapshot", "unlink_file") and finding.file:
            (gallery.snapshots / finding.file).unlink(missing_ok=True)
        if finding.remedy == "embed_again":
            _embed_again(gallery, finding.reference, finding.model)
        if finding.mendable:
            mended.append(finding.text)
            rebuilt = True
    # The next look tells of those that the audit knows.
    known = any(finding.erasure for finding in findings)
    pending = [] if known or gallery.store.finish_erasure() else [PENDING_ERASURE]
    if rebuilt:
        gallery.searchable().compact()
    return mended + pending


def _damage(gallery: Gallery, damage: Damage) -> Finding:
    """What is wrong with the database; a template can be made again if its crop is sound and its model installed."""
    if damage.template is None:
        return Finding(damage.text)
    reference, model = damage.template.reference, damage.template.fingerprint
    try:
        gallery.embedder(model)
        crop = gallery.store.references.crop(reference)
    except (ModelMismatchError, IntegrityError, UsageError) as error:
        return Finding(f"{damage.text} It cannot be made again: {error}")
    if crop is None:
        return Finding(f"{damage.text} It cannot be made again, because the gallery keeps no crop of it.")
    return Finding(damage.text, "embed_again", reference=reference, model=model)


def _embed_again(gallery: Gallery, reference: int, model: str) -> None:
    """Replace a damaged template by one made from the kept crop."""
    crop = gallery.store.references.crop(reference)
    if crop is None:
        raise IntegrityError(f"The crop of reference {reference} is gone; run `twindex doctor` again.")
    vector = gallery.embedder(model).embed(decode_crop(crop)[None])[0]
    gallery.store.references.replace_template(model, reference, vector)


def _model(gallery: Gallery, fingerprint: str) -> list[Finding]:
    """Whether the active model is installed and its weights are those that its card describes."""
    try:
        gallery.embedder(fingerprint)
        find_model(fingerprint).verified_weights()
    except (ModelMismatchError, IntegrityError, UsageError) as error:
        return [Finding(str(error))]
    return []


def _erasures(gallery: Gallery) -> list[Finding]:
    """The erasures of which nobody has seen yet that nothing is left."""
    findings = []
    for row in gallery.store.audit.unverified():
        where = ", ".join(sorted(gallery.store.audit.places(row.id))) or "it was interrupted"
        text = f"The erasure of {row.time:%Y-%m-%d %H:%M} UTC (audit {row.id}) is pending: {where}."
        findings.append(Finding(text, "finish_erasure", erasure=row.id))
    return findings


def _snapshots(gallery: Gallery) -> list[Finding]:
    findings, listed = [], set()
    for generation in gallery.store.generations.list():
        if generation.snapshot is None:
            continue
        name = generation.snapshot.file
        listed.add(name)
        try:
            dim = gallery.embedder(generation.fingerprint).dim
            open_snapshot(gallery.store, gallery.snapshots, generation, dim)
        except (IntegrityError, FileNotFoundError) as error:
            text = f"The snapshot of generation {generation.id} is refused, and rebuilt when it is needed: {error}"
            findings.append(Finding(text, "forget_snapshot", generation.id, name))
        except ModelMismatchError as error:
            findings.append(Finding(str(error)))
    for file in sorted(gallery.snapshots.glob("*")):
        if file.name not in listed:
            findings.append(
                Finding(f"{file.name} in the index folder belongs to no generation.", "unlink_file", 0, file.name)
            )
    return findings
