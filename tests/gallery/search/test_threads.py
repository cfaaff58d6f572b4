"""Several threads on one gallery: searches beside enrolments, erasures and snapshots."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tests.gallery.builders import drawn_crop, enrol, template
from tests.storage.builders import sample
from twindex.embedder.faces.alignment import encode_crop
from twindex.gallery import Gallery

pytestmark = pytest.mark.slow

SEARCHERS = 4
ENROLMENTS = 30


@pytest.mark.parametrize(
    "index", ["Flat", pytest.param("HNSW8", marks=pytest.mark.slow), pytest.param("IVF4,SQ8", marks=pytest.mark.slow)]
)
def test_threads_that_search_while_one_enrols_find_all_that_is_enrolled(
    folder: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twindex.gallery.service.AUTO", index)
    acknowledged, enrolled = [0], Event()

    def search(gallery: Gallery, seed: int) -> int:
        random, searches = np.random.default_rng(seed), 0
        while not enrolled.is_set() or searches == 0:
            known = acknowledged[0]
            if not known:
                continue
            number = int(random.integers(known))
            probe = sample(number, crop=encode_crop(drawn_crop(number)))
            (answer,) = gallery.search([probe], top=1)
            assert answer.candidates[0].subject == f"subject {number}"
            assert answer.candidates[0].distance < 1e-3
            searches += 1
        return searches

    with Gallery.create(folder) as gallery, ThreadPoolExecutor(SEARCHERS) as threads:
        monkeypatch.setattr("twindex.gallery.service.COMPACT_AFTER", 10)
        searching = [threads.submit(search, gallery, seed) for seed in range(SEARCHERS)]
        try:
            for number in range(ENROLMENTS):
                enrol(gallery, number, f"subject {number}")
                acknowledged[0] = number + 1
                gallery.compact_when_behind()
        finally:
            enrolled.set()
        assert min(found.result() for found in searching) > 0
        assert gallery.searchable().count == ENROLMENTS


def test_what_is_erased_is_not_found_by_searches_that_begin_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.create(folder) as gallery, ThreadPoolExecutor(SEARCHERS) as threads:
        for number in range(12):
            enrol(gallery, number, f"subject {number}")
        probes = [sample(number, crop=encode_crop(drawn_crop(number))) for number in range(12)]
        for erased in range(6):
            gallery.erase(f"subject {erased}")
            answers = list(threads.map(lambda probe: gallery.search([probe], top=12)[0], probes))
            found = {candidate.subject for answer in answers for candidate in answer.candidates}
            assert found == {f"subject {number}" for number in range(erased + 1, 12)}


def test_an_index_that_a_search_reads_is_not_changed_meanwhile(gallery: Gallery) -> None:
    """A search holds the index; an enrolment's replay waits for it, and the search after it finds the new face."""
    enrol(gallery, 1, "ada")
    searchable = gallery.searchable()
    with ThreadPoolExecutor(1) as threads:
        with searchable._lock.shared():
            enrol(gallery, 2, "bob")
            replayed = threads.submit(searchable.refresh)
            with pytest.raises(TimeoutError):
                replayed.result(timeout=0.2)
            assert searchable.count == 1
        replayed.result(timeout=30)
    probe = np.frombuffer(template(gallery, 2), np.float32)
    assert searchable.search(probe[None], 2).references[0].tolist()[0] == 2
