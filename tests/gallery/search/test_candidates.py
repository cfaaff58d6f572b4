"""Candidate lists against a plain loop over everybody enrolled."""

import numpy as np
import pytest

from tests.gallery.threshold.test_operating_point import DIM, fill, gallery, head, people, person
from twindex.gallery import Gallery
from twindex.gallery.search.candidates import best_subjects
from twindex.index.protocol import Hits
from twindex.scoring import fuse
from twindex.types import Float32

__all__ = ["gallery", "people"]


def test_candidates_are_those_of_a_loop_over_everybody(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    everything = np.concatenate(list(people.values()))
    owners = [name for name, own in people.items() for _ in own]
    for number in range(20):
        probe = person(500 + number, 1)[0]
        found = best_subjects(gallery.store, gallery.searchable(), probe, head(), 5)
        fused = fuse(probe, everything, owners)
        order = np.argsort(fused.distances)[:5]
        assert [one.subject for one in found] == [fused.subjects[place] for place in order]
        assert [one.distance for one in found] == pytest.approx(fused.distances[order].tolist(), abs=1e-6)


def test_references_beyond_the_nearest_hundred_count(gallery: Gallery) -> None:
    near, far = person(1, 130, spread=0.02), person(2, 3)
    fill(gallery, {"ada": near, "ben": far})
    found = best_subjects(gallery.store, gallery.searchable(), person(9, 1)[0], head(), 2)
    fused = fuse(person(9, 1)[0], np.concatenate([near, far]), ["ada"] * 130 + ["ben"] * 3)
    expected = dict(zip(fused.subjects, fused.distances.tolist(), strict=True))
    assert {one.subject: one.distance for one in found} == pytest.approx(expected, abs=1e-6)


def test_the_first_candidate_does_not_depend_on_how_many_are_wanted(gallery: Gallery) -> None:
    """A clip of 120 frames is nearest; the centroid of a few photos of somebody else is nearer."""
    probe, other = person(1, 1, spread=0.0)[0], person(2, 1, spread=0.0)[0]
    across = other - probe * (other @ probe)
    photos = [np.eye(DIM, dtype=np.float32)[axis] for axis in range(5)]
    varied = np.stack([probe + 0.75 * (one - probe * (one @ probe)) for one in photos])
    clip = np.repeat((probe + 0.55 * across / np.linalg.norm(across))[None], 120, axis=0)
    clip += 0.01 * np.random.default_rng(3).normal(size=clip.shape)
    data = {"few": varied, "clip": clip, "third": person(3, 2)}
    unit = {name: (own / np.linalg.norm(own, axis=1, keepdims=True)).astype(np.float32) for name, own in data.items()}
    fill(gallery, unit)
    nearest = {name: float(np.linalg.norm(own - probe, axis=1).min()) for name, own in unit.items()}
    assert nearest["clip"] < nearest["few"]
    for top in (1, 2, 3):
        assert best_subjects(gallery.store, gallery.searchable(), probe, head(), top)[0].subject == "few"


def test_an_enrolled_photo_is_its_own_first_candidate(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    for references, vectors in gallery.store.references.batches(gallery.active().fingerprint, 1_000):
        for reference, vector in zip(references.tolist(), vectors, strict=True):
            (first,) = best_subjects(gallery.store, gallery.searchable(), vector, head(), 1)
            assert (first.reference, first.distance) == (reference, 0)


def test_an_index_that_reaches_few_is_not_asked_for_ever(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    searchable = gallery.searchable()

    class Reluctant:
        """Finds the same three references, however many are asked for; the rest is padding."""

        generation, count, candidates = searchable.generation, searchable.count, searchable.candidates

        def search(self, probes: Float32, k: int) -> Hits:
            found = searchable.search(probes, 3)
            padding = ((0, 0), (0, k - 3))
            return Hits(
                references=np.pad(found.references, padding, constant_values=-1),
                distances=np.pad(found.distances, padding, constant_values=np.inf),
            )

    found = best_subjects(gallery.store, Reluctant(), person(1, 1)[0], head(), 30)
    assert 1 <= len(found) <= 3


def test_an_id_that_the_store_does_not_hold_is_no_candidate(gallery: Gallery, people: dict[str, Float32]) -> None:
    fill(gallery, people)
    searchable = gallery.searchable()
    probe = person(1, 1)[0]
    expected = best_subjects(gallery.store, searchable, probe, head(), 5)
    erased = gallery.store.subjects.erase(expected[0].subject)

    class Behind:
        """Has not heard of an erasure, and puts an id that never was before everything else."""

        generation, count, candidates = searchable.generation, searchable.count, searchable.candidates

        def search(self, probes: Float32, k: int) -> Hits:
            found = searchable.search(probes, k)
            assert set(found.references[0].tolist()) >= set(erased.references)
            return Hits(
                references=np.insert(found.references, 0, 1_000_000, axis=1),
                distances=np.insert(found.distances, 0, 0.0, axis=1),
            )

    found = best_subjects(gallery.store, Behind(), probe, head(), 4)
    assert [(one.subject, one.reference) for one in found] == [(one.subject, one.reference) for one in expected[1:]]


def test_subjects_beyond_the_first_score_are_reached(gallery: Gallery) -> None:
    """The nearest references belong to few subjects, so the others come from further down the list."""
    crowd = {f"near {number}": person(number, 8, spread=0.02) for number in range(3)}
    crowd |= {f"far {number}": person(100 + number, 1) for number in range(40)}
    fill(gallery, crowd)
    probe = crowd["near 1"][0]
    found = best_subjects(gallery.store, gallery.searchable(), probe, head(), 5)
    fused = fuse(probe, np.concatenate(list(crowd.values())), [name for name, own in crowd.items() for _ in own])
    order = np.argsort(fused.distances)[:5]
    assert [one.subject for one in found] == [fused.subjects[place] for place in order]
    assert [one.distance for one in found] == pytest.approx(fused.distances[order].tolist(), abs=1e-6)
