"""Whether the tables agree with each other and with the active model."""

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
    """Find where the tables do not agree with each other."""
    return [_finding(inconsistency) for inconsistency in gallery.store.inconsistencies()]


def check_templates(gallery: Gallery, active: Generation) -> list[Finding]:
    """Check that every reference has a template of the active model (I1)."""
    references = gallery.store.references
    missing = references.count() - references.count(active.fingerprint)
    if not missing:
        return []
    text = f"{missing} references have no template of the active model."
    if references.missing(active.fingerprint, 0, 1)[0].crop is None:
        advice = "The gallery keeps no crops of them: erase them and enrol their photos again."
        return [Finding(text, code="template_missing", advice=advice)]
    return [Finding(text, "embed_missing", active.id, model=active.fingerprint, code="template_missing")]


def check_generations(gallery: Gallery) -> list[Finding]:
    """Find generations that a re-index left unfinished."""
    unfinished = [generation.id for generation in gallery.store.generations.building()]
    advice = "`twindex reindex` continues it, `twindex reindex --prune` drops it."
    return [
        Finding(
            f"Generation {number} is not finished; until then the active one answers.",
            code="generation_unfinished",
            severity="note",
            advice=advice,
        )
        for number in unfinished
    ]


def _finding(inconsistency: Inconsistency) -> Finding:
    code = inconsistency.code
    return Finding(inconsistency.text, _REMEDIES.get(code, "none"), code=code, advice=_ADVICE.get(code, RESTORE))
