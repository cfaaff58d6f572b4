"""Check a gallery's promises, and mend what can be mended."""

import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from twindex.embedder.model.registry import find_model
from twindex.errors import IntegrityError, ModelMismatchError, UsageError
from twindex.gallery.doctor.findings import RESTORE, Finding
from twindex.gallery.doctor.folder_checks import close_to_others
from twindex.gallery.doctor.store_checks import check_generations, check_tables, check_templates
from twindex.gallery.erasing import finish
from twindex.gallery.file_roles import foreign_files, may_be_foreign
from twindex.gallery.search.searchable import open_snapshot
from twindex.gallery.service import Gallery
from twindex.gallery.threshold.age import threshold_age
from twindex.index.faiss_index import FaissIndex
from twindex.storage import Damage, Generation

_PAGE = 256
PENDING_ERASURE = (
    "An erasure is still pending: another process reads the database, whose journal may hold erased bytes; "
    "run `twindex doctor --repair` again when it has finished."
)
_DAMAGE_CODES = {"database": "database_damaged", "template": "template_damaged", "crop": "crop_damaged"}
_INSTALL = "Install the model again: `twindex models install`."


def examine(gallery: Gallery) -> list[Finding]:
    """All findings; an empty list means that every promise that can be checked here holds."""
    findings = [_damage(gallery, damage) for damage in gallery.store.check()]
    inconsistent = check_tables(gallery)
    findings += inconsistent
    if any(one.code in ("schema", "value") for one in inconsistent):
        # Nothing that reads those values can be relied on.
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
    """What is no damage, but worth knowing: the threshold's age, the expired, and what an index keeps."""
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


def mend(gallery: Gallery, findings: list[Finding]) -> list[str]:
    """Carry out each finding's remedy, and finish what an erasure left pending.

    Returns:
        A sentence for each finding mended, and `PENDING_ERASURE` while bytes of an erasure that the audit does not
        know cannot be removed yet.
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
    # The next look tells of those that the audit knows.
    known = any(finding.erasure for finding in findings)
    pending = [] if known or gallery.store.finish_erasure() else [PENDING_ERASURE]
    if carried_out:
        gallery.store.audit.add("repair", {"mended": dict(Counter(one.code for one in carried_out))})
        if gallery.store.generations.active() is not None:
            gallery.searchable().compact()
    return mended + pending


def _carry_out(gallery: Gallery, finding: Finding) -> None:
    """What mends a finding; a changed journal needs nothing more than that the database was opened for writing."""
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


def _damage(gallery: Gallery, damage: Damage) -> Finding:
    """What is wrong with the database; a template can be made again if its crop is sound and its model installed."""
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


def _embed_again(gallery: Gallery, reference: int, model: str) -> None:
    """Replace a damaged template by one made from the kept crop."""
    crop = gallery.store.references.crop(reference)
    if crop is None:
        raise IntegrityError(f"The crop of reference {reference} is gone; run `twindex doctor` again.")
    vector = gallery.embedder(model).embed_kept([crop])[0]
    gallery.store.references.replace_template(model, reference, vector)


def _embed_missing(gallery: Gallery, model: str) -> None:
    """Give every reference that has a crop, but no template of the model, a template; where it was erased, none."""
    after = 0
    while page := gallery.store.references.missing(model, after, _PAGE):
        kept = [(row.reference, row.crop) for row in page if row.crop is not None]
        if kept:
            templates = gallery.embedder(model).embed_kept([crop for _, crop in kept])
            references = np.array([reference for reference, _ in kept], np.int64)
            gallery.store.references.add_templates(model, references, templates)
        after = page[-1].reference


def _model(gallery: Gallery, fingerprint: str) -> list[Finding]:
    """Whether the active model is installed and its weights are those that its card describes."""
    try:
        gallery.embedder(fingerprint)
        find_model(fingerprint).verified_weights()
    except (ModelMismatchError, IntegrityError, UsageError) as error:
        return [Finding(str(error), code="model", advice=_INSTALL)]
    return []


def _erasures(gallery: Gallery) -> list[Finding]:
    """The erasures of which nobody has seen yet that nothing is left."""
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
            text += f" Remove what is not the gallery's, it may hold what was erased: {foreign}."
        findings.append(Finding(text, "finish_erasure", erasure=row.id, code="erasure_pending"))
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
    """Whether a snapshot and the changes since give the references of the store, no more and no fewer (I5)."""
    stored = set(gallery.store.references.ids(generation.fingerprint).tolist())
    # Read later than the references, so that what others do meanwhile is among them.
    changed = {change.reference for change in gallery.store.changes.since(revision)}
    wrong = (stored ^ set(index.references().tolist())) - changed
    if not wrong:
        return []
    text = f"The snapshot of generation {generation.id} and the store differ in {len(wrong)} references."
    file = "" if generation.snapshot is None else generation.snapshot.file
    return [Finding(text, "forget_snapshot", generation.id, file, code="snapshot")]
