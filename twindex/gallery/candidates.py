"""From a template to its candidate list: nearest references, exact distances, all references of the best subjects."""

import numpy as np

from twindex.config import FUSED_SUBJECTS
from twindex.gallery.searchable import SearchableGeneration
from twindex.scoring import Head, distances, rank
from twindex.storage import OwnedTemplates, Store
from twindex.types import Candidate, Float32


def best_subjects(
    store: Store, searchable: SearchableGeneration, template: Float32, head: Head, top: int
) -> list[Candidate]:
    """The best subjects for a template; looks further where few subjects hold all of the nearest references.

    Args:
        store: The truth.
        searchable: The generation to search.
        template: (dim,) float32, unit length.
        head: Of the generation's model.
        top: Longest list wanted.
    """
    fingerprint, wanted = searchable.generation.fingerprint, max(searchable.candidates, 4 * top)
    fused = max(FUSED_SUBJECTS, 4 * top)
    while True:
        hits = searchable.search(template[None], wanted)
        near = store.references.owned(fingerprint, hits.references[0][hits.references[0] >= 0].tolist())
        family = store.references.of_same_subjects(fingerprint, _one_a_subject(near, template, fused))
        # An approximate index may not reach everybody, however many it is asked for.
        reached = len(set(family.subjects))
        if reached >= top or wanted >= searchable.count or reached >= store.subjects.count(at_most=top):
            break
        wanted *= 4
    if not family.subjects:
        return []
    return rank(template, family.vectors, family.references, family.subjects, head, top)


def _one_a_subject(near: OwnedTemplates, template: Float32, count: int) -> list[int]:
    """The nearest reference of each of the nearest `count` subjects."""
    if not near.subjects:
        return []
    best: dict[str, int] = {}
    for position in np.argsort(distances(template, near.vectors), kind="stable").tolist():
        best.setdefault(near.subjects[position], int(near.references[position]))
    return list(best.values())[:count]
