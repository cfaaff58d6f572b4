"""Encrypted galleries of every index type: none of their files ever shows a face or a name."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.encrypted import KEY, OTHER_KEY, showing
from tests.gallery.builders import enrol
from tests.storage.builders import DIM, crop_bytes, file_names, request, unit_vector
from twindex.config import SNAPSHOTS
from twindex.errors import EncryptionKeyError, UsageError
from twindex.gallery import Gallery
from twindex.gallery.doctor.checkup import examine
from twindex.gallery.doctor.mending import mend
from twindex.gallery.rekeying import Rekeyed, rekey
from twindex.jobs.reindex import reindex

pytestmark = [pytest.mark.encryption, pytest.mark.slow]

COUNT = 300
STEM = "Ottoline Quartermaine"
# Every type of `tests/index/galleries.py`, for templates of 16 numbers; the combinations of these four are slow.
SPECS = ("Flat", "HNSW16", "SQ8", "PQ8x4fs")
COMBINED = ("IVF4,Flat", "IVF4,SQ8", "PQ8", "IVF4,PQ8", "IVF4,PQ8x4fs", "OPQ8,PQ8x4fs", "PCA12,Flat")


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    with Gallery.create(folder, key=KEY) as opened:
        yield opened


def fill(gallery: Gallery) -> None:
    """Enrol people with random templates and crops."""
    requests = [request(number, f"{STEM} {number}") for number in range(COUNT)]
    gallery.store.references.enroll_many(requests, gallery.active().fingerprint)


def shown(folder: Path) -> list[str]:
    """The files that show a template, a crop or a name of `fill`'s people."""
    secrets = [part for number in range(COUNT) for part in (unit_vector(number).tobytes(), crop_bytes(number))]
    files = [file for file in folder.rglob("*") if file.is_file()]
    named = [file.name for file in files if STEM.encode() in file.read_bytes()]
    return sorted({*showing(folder, secrets), *named})


def test_a_plain_gallery_shows_faces_and_names(folder: Path) -> None:
    with Gallery.create(folder) as gallery:
        fill(gallery)
        snapshot = gallery.searchable().compact()
        assert shown(folder) == sorted(["gallery.sqlite", snapshot.file])


@pytest.mark.parametrize("spec", [*SPECS, *(pytest.param(spec, marks=pytest.mark.slow) for spec in COMBINED)])
def test_no_file_of_an_encrypted_gallery_shows_anything(gallery: Gallery, folder: Path, spec: str) -> None:
    fill(gallery)
    assert "gallery.sqlite-wal" in file_names(folder)
    assert shown(folder) == []
    reindex(gallery, None, spec, lambda *_: None)
    searchable = gallery.searchable()
    assert searchable.structure == spec
    assert file_names(gallery.snapshots) == [gallery.active().snapshot.file]  # type: ignore[union-attr]
    assert shown(folder) == []
    gallery.erase(f"{STEM} 7")
    assert shown(folder) == []
    assert gallery.searchable().compact().count == COUNT - 1
    assert shown(folder) == []
    gallery.close()
    assert shown(folder) == []
    with Gallery.open(folder, key=KEY) as again:
        hits = again.searchable().search(unit_vector(3)[None], 1)
        assert hits.references.tolist() == [[4]]


@pytest.mark.parametrize("change", ["cut", "flipped", "plain"])
def test_a_changed_sealed_snapshot_is_refused_and_rebuilt(
    gallery: Gallery, folder: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(gallery)
    file = gallery.snapshots / gallery.searchable().compact().file
    content = file.read_bytes()
    flipped = content[:500] + bytes([content[500] ^ 4]) + content[501:]
    file.write_bytes({"cut": content[:-100], "flipped": flipped, "plain": b"TWINDEX\x01" + content[8:]}[change])
    with Gallery.open(folder, key=KEY) as other, caplog.at_level(logging.WARNING):
        assert other.searchable().search(unit_vector(3)[None], 1).references.tolist() == [[4]]
        assert "is refused, and the index rebuilt" in caplog.text
        findings = examine(other)
        assert [finding.remedy for finding in findings] == ["forget_snapshot"]
        mend(other, findings)
        assert examine(other) == []
    assert shown(folder) == []


def test_the_doctor_works_on_an_encrypted_gallery(gallery: Gallery, folder: Path) -> None:
    kept = [enrol(gallery, number, f"{STEM} {number}") for number in (1, 2)]
    with gallery.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE templates SET sha256 = x'00' WHERE reference_id = 2")
    findings = examine(gallery)
    assert [(finding.remedy, finding.reference) for finding in findings] == [("embed_again", kept[1])]
    assert mend(gallery, findings) == [findings[0].text]
    assert examine(gallery) == []


def test_a_plain_gallery_is_encrypted(folder: Path) -> None:
    with Gallery.create(folder) as gallery:
        fill(gallery)
        gallery.searchable().compact()
        before = gallery.store.gallery()
    assert rekey(folder, KEY, None) == Rekeyed(False, True, "the test", 1, ())
    assert shown(folder) == []
    assert file_names(folder / "index") == []
    with Gallery.open(folder, key=KEY) as gallery:
        assert gallery.store.gallery() == before
        assert gallery.searchable().compact().count == COUNT
        np.testing.assert_array_equal(gallery.searchable().search(unit_vector(9)[None], 1).references, [[10]])
        assert gallery.searchable().dim == DIM
    assert shown(folder) == []


def test_the_key_is_changed_and_removed(gallery: Gallery, folder: Path) -> None:
    fill(gallery)
    gallery.searchable().compact()
    with pytest.raises(UsageError, match=r"has the gallery in .* open"):
        rekey(folder, KEY, OTHER_KEY)
    assert len(file_names(folder / "index")) == 1
    gallery.close()
    stranger = folder / SNAPSHOTS / "@thumbnails" / "one"
    stranger.parent.mkdir()
    stranger.write_bytes(b"what it was")
    assert rekey(folder, KEY, OTHER_KEY) == Rekeyed(True, True, "the other test", 2, ())
    assert not stranger.exists()
    with pytest.raises(EncryptionKeyError, match="The key from the test is not what"):
        Gallery.open(folder, key=KEY)
    assert rekey(folder, OTHER_KEY, None, remove=True) == Rekeyed(True, False, "", 0, ())
    with Gallery.open(folder) as plain:
        assert plain.store.references.count() == COUNT
    assert shown(folder) == ["gallery.sqlite"]


def test_missing_wrong_and_superfluous_keys_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="There is no gallery in"):
        rekey(folder, KEY, None)
    Gallery.create(folder).close()
    with pytest.raises(EncryptionKeyError, match="not encrypted; there is no key to remove"):
        rekey(folder, None, None, remove=True)
    with pytest.raises(EncryptionKeyError, match="No new key for the gallery"):
        rekey(folder, None, None)
    with pytest.raises(EncryptionKeyError, match="but the key is to be removed; choose one"):
        rekey(folder, None, KEY, remove=True)
    rekey(folder, OTHER_KEY, KEY)
    with pytest.raises(EncryptionKeyError, match="No new key for the gallery"):
        rekey(folder, KEY, None)
    with pytest.raises(EncryptionKeyError, match="The key from the other test is not what"):
        rekey(folder, OTHER_KEY, KEY)
