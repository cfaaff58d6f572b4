"""Do the tables agree with each other, and with the model that answers?"""

from twindex.gallery.doctor.findings import RESTORE, Finding, Remedy
from twindex.gallery.service import Gallery
from twindex.storage import Generation, Inconsistency

_REMEDIES: dict[str, Remedy] = {
    "orphaned_sample": "erase_orphans",
    "change_log": "log_enrolments",
    "id_reuse": "raise_counters",
}
_ADVICE = {"schema": f"Do not write to this database. {RESTORE}"}


def check_tables(gallery: Gallery) -> list[Finding]:
    """Where the tables do not agree with each other."""
    return [_finding(one) for one in gallery.store.inconsistencies()]


def check_templates(gallery: Gallery, active: Generation) -> list[Finding]:
    """Whether every reference has a template of the model that answers (I1)."""
    references = gallery.store.references
    lacking = references.count() - references.count(active.fingerprint)
    if not lacking:
        return []
    text = f"{lacking} references have no template of the active model."
    if references.missing(active.fingerprint, 0, 1)[0].crop is None:
        advice = "The gallery keeps no crops of them: erase and enrol their photos again."
        return [Finding(text, code="template_missing", advice=advice)]
    return [Finding(text, "embed_missing", active.id, model=active.fingerprint, code="template_missing")]


def check_generations(gallery: Gallery) -> list[Finding]:
    """Generations that a re-index left unfinished."""
    unfinished = [generation.id for generation in gallery.store.generations.building()]
    advice = "`twindex reindex` goes on with it, `twindex reindex --prune` drops it."
    return [
        Finding(
            f"Generation {number} is not finished; the active one answers meanwhile.",
            code="generation_unfinished",
            severity="note",
            advice=advice,
        )
        for number in unfinished
    ]


def _finding(found: Inconsistency) -> Finding:
    return Finding(
        found.text, _REMEDIES.get(found.code, "none"), code=found.code, advice=_ADVICE.get(found.code, RESTORE)
    )
