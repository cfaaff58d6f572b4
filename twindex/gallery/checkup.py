"""Check a gallery's promises, and mend what can be mended."""

from dataclasses import dataclass
from typing import Literal

from twindex.errors import IntegrityError, ModelMismatchError
from twindex.gallery.searchable import open_snapshot
from twindex.gallery.service import Gallery

Remedy = Literal["none", "forget_snapshot", "unlink_file", "compact"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as promised.

    Attributes:
        text: One sentence for people.
        remedy: What mends it, or "none" for damage to the truth itself.
        generation: Whose snapshot it is about, or 0.
        file: The file it is about, or "".
    """

    text: str
    remedy: Remedy = "none"
    generation: int = 0
    file: str = ""

    @property
    def mendable(self) -> bool:
        return self.remedy != "none"


def examine(gallery: Gallery) -> list[Finding]:
    """All findings; an empty list means that every promise that can be checked here holds."""
    findings = [Finding(text) for text in gallery.store.check()]
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
    """Carry out each finding's remedy; returns a sentence for each one mended."""
    mended = []
    for finding in findings:
        if finding.remedy == "forget_snapshot":
            gallery.store.generations.forget_snapshot(finding.generation)
        if finding.remedy in ("forget_snapshot", "unlink_file") and finding.file:
            (gallery.snapshots / finding.file).unlink(missing_ok=True)
        if finding.mendable:
            mended.append(finding.text)
    if mended:
        gallery.searchable().compact()
    return mended


def _model(gallery: Gallery, fingerprint: str) -> list[Finding]:
    try:
        gallery.embedder(fingerprint)
    except (ModelMismatchError, IntegrityError) as error:
        return [Finding(str(error))]
    return []


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
