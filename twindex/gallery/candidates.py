"""From a template to its candidate list: nearest references, exact distances, all references of the best subjects."""

import numpy as np

from twindex.config import FUSED_SUBJECTS
from twindex.gallery.searchable import SearchableGeneration
from twindex.scoring import Head, distances, rank
from twindex.storage import Store
from twindex.types import Candidate, Float32, Int64


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
    subjects, fused = store.subjects.count(), max(FUSED_SUBJECTS, 4 * top)
    while True:
        hits = searchable.search(template[None], wanted)
        near = hits.references[0][hits.references[0] >= 0].tolist()
        references, vectors = store.references.vectors(fingerprint, near)
        if not len(references):
            return []
        owners = store.references.of_same_subjects(
            _one_a_subject(references, distances(template, vectors), store.references.owners(near), fused)
        )
        # An approximate index may not reach everybody, however many it is asked for.
        if len(set(owners.values())) >= min(top, subjects) or wanted >= searchable.count:
            break
        wanted *= 4
    missing = sorted(set(owners) - set(references.tolist()))
    more, more_vectors = store.references.vectors(fingerprint, missing)
    if len(more):
        references, vectors = np.concatenate([references, more]), np.concatenate([vectors, more_vectors])
    # Left out: references of farther subjects, and of those erased since the search.
    kept = np.array([int(reference) in owners for reference in references], bool)
    if not kept.any():
        return []
    names = [owners[int(reference)] for reference in references[kept]]
    return rank(template, vectors[kept], references[kept], names, head, top)


def _one_a_subject(references: Int64, far: Float32, owners: dict[int, str], count: int) -> list[int]:
    """The nearest reference of each of the nearest `count` subjects."""
    best: dict[str, int] = {}
    for position in np.argsort(far, kind="stable").tolist():
        reference = int(references[position])
        if reference in owners:
            best.setdefault(owners[reference], reference)
    return list(best.values())[:count]
