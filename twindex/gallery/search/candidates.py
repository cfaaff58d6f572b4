"""From a template to its candidate list: nearest references, exact distances, all references of the best subjects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from twindex.config import FUSED_SUBJECTS, PRIOR
from twindex.gallery.search.searchable import SearchableGeneration
from twindex.scoring import Head, distances, posterior, rank
from twindex.storage import Store
from twindex.types import Candidate, Float32, Int64


@dataclass(frozen=True, eq=False)
class _SubjectReferences:
    """All references of some subjects: (n,) int64 ids ascending, (n, dim) float32 templates, n names."""

    references: Int64
    vectors: Float32
    subjects: tuple[str, ...]


def best_subjects(
    store: Store, searchable: SearchableGeneration, template: Float32, head: Head, top: int, *, listed: int = 0
) -> list[Candidate]:
    """The best subjects for a template. If few subjects own all of the nearest references, the search goes further.

    Args:
        store: The truth.
        searchable: The generation to search.
        template: (dim,) float32, unit length.
        head: Of the generation's model.
        top: Longest list wanted; how far is searched depends on it.
        listed: A longer list that is taken if the search finds it on its way.
    """
    top = max(1, min(top, searchable.count))
    fingerprint, wanted = searchable.generation.fingerprint, max(searchable.candidates, 4 * top)
    fused, needed = max(FUSED_SUBJECTS, 4 * top), max(FUSED_SUBJECTS, top)
    with store.one_state():
        while True:
            hits = searchable.search(template[None], wanted)
            found = _all_references(store, fingerprint, hits.references[0][hits.references[0] >= 0], template, fused)
            # An approximate index may not reach everybody, however many it is asked for.
            reached = len(set(found.subjects))
            if reached >= needed or wanted >= searchable.count or reached >= store.subjects.count(at_most=needed):
                break
            wanted *= 4
    if not found.subjects:
        return []
    return rank(template, found.vectors, found.references, found.subjects, head, max(top, listed))


def with_confidence(
    found: Sequence[Candidate], head: Head, subjects: int, top: int
) -> tuple[tuple[Candidate, ...], float]:
    """The first candidates with their confidences, and the confidence of "unknown"; see `scoring.posterior`.

    Args:
        found: The best subjects, nearest first.
        head: Of the model.
        subjects: How many are enrolled.
        top: Longest list wanted.
    """
    near = np.array([candidate.distance for candidate in found], np.float32)
    confidences, unknown = posterior(near, head, subjects, PRIOR)
    pairs = zip(found[:top], confidences[:top].tolist(), strict=True)
    return tuple(replace(candidate, confidence=confidence) for candidate, confidence in pairs), unknown


def _all_references(
    store: Store, fingerprint: str, candidates: Int64, template: Float32, count: int
) -> _SubjectReferences:
    """All references of those `count` subjects whose candidates are nearest by exact distance."""
    near, vectors = store.references.vectors(fingerprint, candidates.tolist())
    if not len(near):
        return _SubjectReferences(near, vectors, ())
    owners = _owners(store, near[np.argsort(distances(template, vectors), kind="stable")].tolist(), count)
    others = list(owners.keys() - set(near.tolist()))
    more, added = store.references.vectors(fingerprint, others)
    mine = np.array([reference in owners for reference in near.tolist()])
    references = np.concatenate([near[mine], more])
    templates = np.concatenate([vectors[mine], added.reshape(-1, vectors.shape[1])])
    order = np.argsort(references)
    names = tuple(owners[reference] for reference in references[order].tolist())
    return _SubjectReferences(references[order], templates[order], names)


def _owners(store: Store, nearest: list[int], count: int) -> dict[int, str]:
    """The owner of every reference of the `count` nearest subjects.

    Args:
        nearest: References, nearest first.
        count: How many subjects are wanted.
    """
    owners: dict[int, str] = {}
    missing = count
    while nearest and missing > 0:
        owners |= store.references.families(nearest[:missing])
        nearest = [reference for reference in nearest[missing:] if reference not in owners]
        missing = count - len(set(owners.values()))
    return owners
