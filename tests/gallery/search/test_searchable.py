"""Compacting beside other processes that erase."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.gallery.builders import enrol, template
from tests.storage.builders import DIM, file_names, remnants
from twindex.errors import UsageError
from twindex.gallery import Gallery, service
from twindex.gallery.search import searchable
from twindex.gallery.search.searchable import SearchableGeneration, open_snapshot
from twindex.index.faiss_index import FaissIndex
from twindex.index.snapshot import SnapshotFile, SnapshotIdentity, write_snapshot
from twindex.jobs.reindex import reindex

HOUR = 3600


def before_writing(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> list[str]:
    """Let something happen just before each snapshot is written; returns the names of the files, as they come."""
    names: list[str] = []

    def write(index: object, path: Path, *others: object) -> SnapshotFile:
        names.append(path.name)
        happening()
        return write_snapshot(index, path, *others)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(searchable, "write_snapshot", write)
    return names


def test_an_erasure_by_another_process_overtakes_a_compaction(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, kept = enrol(gallery, 1, "ada"), enrol(gallery, 2, "bob")
    vector = template(gallery, reference)
    opened = gallery.searchable()

    def erase_once() -> None:
        with Gallery.open(folder) as other:
            if len(other.store.subjects.list()) == 2:
                other.erase("ada")

    names = before_writing(monkeypatch, erase_once)
    written = opened.compact()
    assert [name.rsplit("-", 1)[0] for name in names] == ["generation-1-revision-2", "generation-1-revision-3"]
    assert (written.file, written.revision, written.count) == (names[1], 3, 1)
    assert gallery.active().snapshot == written
    assert file_names(gallery.snapshots) == [names[1]]
    assert remnants(folder, vector) == []
    assert opened.contains(np.array([reference, kept])).tolist() == [False, True]


def test_a_file_that_an_erasure_took_away_is_written_again(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(gallery, 1, "ada")
    attempts: list[int] = []

    def vanish_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise FileNotFoundError("the partial file was unlinked")

    before_writing(monkeypatch, vanish_once)
    assert gallery.searchable().compact() == gallery.active().snapshot
    assert len(attempts) == 2


def test_two_that_compact_one_revision_at_once_leave_a_sound_snapshot(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their indexes hold the same references, but not the same bytes: one was trained when there were fewer."""
    for number in range(20):
        enrol(gallery, number, "ada")
    reindex(gallery, None, "PQ8x4fs", lambda _done, _total: None)
    opened = gallery.searchable()
    for number in range(20, 40):
        enrol(gallery, number, "ada")
    opened.refresh()
    for file in gallery.snapshots.iterdir():
        file.unlink()
    written: list[str] = []

    def write(index: FaissIndex, path: Path, identity: SnapshotIdentity, *others: object) -> SnapshotFile:
        done = write_snapshot(index, path, identity, *others)  # type: ignore[arg-type]  # passed on as it came
        written.append(done.sha256)
        if len(written) == 1:
            with Gallery.open(folder) as other:
                other.searchable().compact()
        return done

    monkeypatch.setattr(searchable, "write_snapshot", write)
    last = opened.compact()
    assert written[0] != written[1]
    assert gallery.active().snapshot == last
    assert open_snapshot(gallery.store, gallery.snapshots, gallery.active(), DIM).count == 40
    assert file_names(gallery.snapshots) == [last.file]


def test_compacting_gives_up_while_others_go_on_erasing(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        enrol(gallery, number, f"subject {number}")
    opened = gallery.searchable()
    left = [f"subject {number}" for number in range(7)]

    def erase_one() -> None:
        with Gallery.open(folder) as other:
            other.erase(left.pop())

    names = before_writing(monkeypatch, erase_one)
    with pytest.raises(UsageError, match=r"No snapshot was written: 5 times something was erased.*`twindex compact`"):
        opened.compact()
    assert len(names) == 5
    assert gallery.active().snapshot is None
    assert file_names(gallery.snapshots) == []


def test_a_disk_too_full_for_a_snapshot_puts_no_enrolment_in_doubt(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    enrol(gallery, 1, "ada")

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before_writing(monkeypatch, full)
    monkeypatch.setattr(service, "COMPACT_AFTER", 0)
    gallery.compact_when_behind()
    assert "No snapshot of the index was written; nothing is lost" in caplog.text
    assert "No space left on device" in caplog.text
    with pytest.raises(OSError, match="No space left"):
        gallery.searchable().compact()


def test_the_partial_file_of_another_process_is_spared(gallery: Gallery) -> None:
    enrol(gallery, 1, "ada")
    gallery.snapshots.mkdir()
    fresh, stale = gallery.snapshots / ".a.twindex-partial", gallery.snapshots / ".b.twindex-partial"
    for file, age in ((fresh, 0), (stale, 2 * HOUR)):
        file.touch()
        os.utime(file, (file.stat().st_mtime - age,) * 2)
    written = gallery.searchable().compact()
    assert file_names(gallery.snapshots) == sorted([fresh.name, written.file])


def test_a_snapshot_that_another_process_replaces_meanwhile_is_opened_and_not_built_anew(
    gallery: Gallery, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    enrol(gallery, 1, "ada")
    gallery.searchable().compact()
    known = gallery.active()
    with Gallery.open(folder) as other:
        enrol(other, 2, "bob")
        written = other.searchable().compact()
    opened = SearchableGeneration(gallery.store, gallery.snapshots, known, DIM)
    assert (opened.generation.snapshot, opened.count) == (written, 2)
    assert caplog.text == ""
