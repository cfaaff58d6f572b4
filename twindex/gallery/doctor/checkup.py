"""Check an open gallery against its promises."""

from datetime import UTC, datetime

from twindex.embedder.model.registry import find_model
from twindex.errors import IntegrityError, ModelMismatchError, UsageError
from twindex.gallery.doctor.findings import RESTORE, Finding
from twindex.gallery.doctor.store_checks import check_generations, check_tables, check_templates
from twindex.gallery.file_roles import foreign_files, may_be_foreign
from twindex.gallery.search.searchable import open_snapshot
from twindex.gallery.service import Gallery
from twindex.gallery.threshold.age import threshold_age
from twindex.index.faiss_index import FaissIndex
from twindex.storage import Damage, Generation

_DAMAGE_CODES = {"database": "database_damaged", "template": "template_damaged", "crop": "crop_damaged"}
_INSTALL = "Install the model again: `twindex models install`."


def examine(gallery: Gallery) -> list[Finding]:
    """Run every check of database, model and index; no findings mean that all these promises hold."""
    findings = [_damage(gallery, damage) for damage in gallery.store.check()]
    inconsistent = check_tables(gallery)
    findings += inconsistent
    if any(finding.code in ("schema", "value") for finding in inconsistent):
        # The other checks read these values and could not be relied on.
        return findings
    findings += _erasures(gallery)
    active = gallery.store.generations.active()
    if active is None:
        text = "No generation is active, so no query is answered."
        return [*findings, Finding(text, code="generation_missing", advice="Run `twindex reindex --model default`.")]
    findings += _model(gallery, active.fingerprint)
    findings += _snapshots(gallery)
    findings += check_templates(gallery, active)
    return findings + check_generations(gallery)


def notes(gallery: Gallery) -> list[Finding]:
    """Collect what is not damage but worth knowing: an outdated threshold, expired references, the index's recall."""
    if gallery.store.generations.active() is None:
        return []
    found = []
    if text := threshold_age(gallery).note:
        found.append(Finding(text, code="threshold_age", severity="note", advice="Run `twindex calibrate`."))
    if expired := gallery.store.subjects.expired(datetime.now(UTC)):
        text = f"{len(expired)} references have expired and answer no query."
        found.append(Finding(text, code="expired", severity="note", advice="Run `twindex subjects purge`."))
    active = gallery.active()
    recall = None if active.snapshot is None else active.snapshot.recall
    if recall is not None:
        text = (
            f"the index {recall.structure} keeps {100 * recall.share:.1f} % of the exact nearest references among "
            f"{recall.candidates} candidates (measured on {recall.probes} of {recall.references} references)."
        )
        found.append(Finding(text, code="index_recall", severity="note", advice="Nothing needs to be done."))
    return found


def _damage(gallery: Gallery, damage: Damage) -> Finding:
    """Describe damage of the database; a template can be remade if its crop is sound and its model installed."""
    code = _DAMAGE_CODES[damage.code]
    if damage.template is None:
        advice = "Enrol the same photo again, which replaces it." if damage.code == "crop" else RESTORE
        return Finding(damage.text, code=code, advice=advice)
    reference, model = damage.template.reference, damage.template.fingerprint
    try:
        gallery.embedder(model)
        crop = gallery.store.references.crop(reference)
    except (ModelMismatchError, IntegrityError, UsageError) as error:
        return Finding(f"{damage.text} It cannot be made again: {error}", code=code)
    if crop is None:
        return Finding(f"{damage.text} It cannot be made again, because the gallery keeps no crop of it.", code=code)
    return Finding(damage.text, "embed_again", reference=reference, model=model, code=code)


def _model(gallery: Gallery, fingerprint: str) -> list[Finding]:
    """Check that the active model is installed and its weights are those its card describes."""
    try:
        gallery.embedder(fingerprint)
        find_model(fingerprint).verified_weights()
    except (ModelMismatchError, IntegrityError, UsageError) as error:
        return [Finding(str(error), code="model", advice=_INSTALL)]
    return []


def _erasures(gallery: Gallery) -> list[Finding]:
    """Find the erasures that have not been verified as complete."""
    unverified = gallery.store.audit.unverified()
    if not unverified:
        return []
    findings = []
    foreign = ", ".join(str(path.relative_to(gallery.folder)) for path in foreign_files(gallery.folder))
    for row in unverified:
        places = gallery.store.audit.places(row.id)
        where = ", ".join(sorted(places or ())) or "it was interrupted"
        text = f"The erasure of {row.time:%Y-%m-%d %H:%M} UTC (audit {row.id}) is pending: {where}."
        if foreign and may_be_foreign(places):
            text += f" Remove the files that are not the gallery's, they may hold what was erased: {foreign}."
        findings.append(Finding(text, "finish_erasure", erasure=row.id, code="erasure_pending"))
    return findings


def _snapshots(gallery: Gallery) -> list[Finding]:
    """Check every listed snapshot, and find files that no generation lists."""
    findings, listed = [], set()
    for generation in gallery.store.generations.list():
        if generation.snapshot is None:
            continue
        name = generation.snapshot.file
        listed.add(name)
        try:
            dim = gallery.embedder(generation.fingerprint).dim
            index = open_snapshot(gallery.store, gallery.snapshots, generation, dim)
        except IntegrityError as error:
            text = (
                f"The snapshot of generation {generation.id} is refused; queries rebuild the index in memory: {error}"
            )
            findings.append(Finding(text, "forget_snapshot", generation.id, name, code="snapshot"))
        except ModelMismatchError as error:
            findings.append(Finding(str(error), code="model", advice=_INSTALL))
        else:
            if generation.state == "active":
                findings += _membership(gallery, generation, generation.snapshot.revision, index)
    for file in sorted(gallery.snapshots.glob("*")):
        if file.name not in listed:
            text = f"{file.name} in the index folder belongs to no generation."
            findings.append(Finding(text, "unlink_file", 0, file.name, code="snapshot_unlisted"))
    return findings


def _membership(gallery: Gallery, generation: Generation, revision: int, index: FaissIndex) -> list[Finding]:
    """Check that a snapshot and the changes since give exactly the store's references (I5)."""
    stored = set(gallery.store.references.ids(generation.fingerprint).tolist())
    # Read the changes after the references: a reference that changed in between is then among them.
    changed = {change.reference for change in gallery.store.changes.since(revision)}
    wrong = (stored ^ set(index.references().tolist())) - changed
    if not wrong:
        return []
    text = f"The snapshot of generation {generation.id} and the store differ in {len(wrong)} references."
    file = "" if generation.snapshot is None else generation.snapshot.file
    return [Finding(text, "forget_snapshot", generation.id, file, code="snapshot")]
