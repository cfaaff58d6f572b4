"""Snapshot files: reading one gives the same index, or is refused."""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.index.galleries import ALL_SPECS, DIM, build, ids, people
from twindex.encryption.sealing import FileSealer
from twindex.errors import IntegrityError
from twindex.index.faiss_index import FaissIndex
from twindex.index.snapshot import SnapshotFile, SnapshotIdentity, read_snapshot, write_snapshot

VECTORS = people(400, seed=1)
IDS = ids(400)
GOLDEN = Path(__file__).parent / "golden"


def _identity(index: FaissIndex, text: str = "") -> SnapshotIdentity:
    return SnapshotIdentity("gallery-é", 3, "f" * 64, text or index.spec.text, index.dim, 17, index.count)


def _file_of(content: bytes) -> SnapshotFile:
    return SnapshotFile(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("text", ALL_SPECS)
def test_round_trip_keeps_every_answer(text: str, tmp_path: Path) -> None:
    index = build(text, IDS, VECTORS)
    index.remove(IDS[:50])
    index.add(IDS[:5], people(5, seed=8))
    path = tmp_path / "a.twdx"
    written = write_snapshot(index, path, _identity(index))
    assert written == _file_of(path.read_bytes())
    copy = read_snapshot(path, written, _identity(index))
    probes = people(20, seed=2)
    hits, expected = copy.search(probes, 30), index.search(probes, 30)
    np.testing.assert_array_equal(hits.references, expected.references)
    np.testing.assert_array_equal(hits.distances, expected.distances)
    assert copy.spec == index.spec


def test_an_alias_is_read_as_the_structure_it_stands_for(tmp_path: Path) -> None:
    index = build("ivf", IDS[:200], VECTORS[:200])
    index.add(IDS[200:], VECTORS[200:])
    path = tmp_path / "a.twdx"
    written = write_snapshot(index, path, _identity(index, "ivf"))
    assert read_snapshot(path, written, _identity(index, "ivf")).spec.text == "IVF5,Flat"


def test_the_golden_file_still_reads() -> None:
    identity = SnapshotIdentity("0d6c7f2e", 1, "ab" * 32, "flat", 4, 12, 3)
    recorded = SnapshotFile(386, "a4e002172efc3ce9dc96f829caae7844c31abf6c8b6b34c17d1833a913cd1d59")
    index = read_snapshot(GOLDEN / "flat.twdx", recorded, identity)
    assert index.references().tolist() == [3, 5, 2**40]
    hits = index.search(np.array([[0.6, 0.8, 0, 0]], np.float32), 4)
    assert hits.references.tolist() == [[5, 3, 2**40, -1]]
    np.testing.assert_allclose(hits.distances, [[0.4**0.5, 0.8**0.5, 2**0.5, np.inf]], rtol=1e-6)


def _flipped(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[random.integers(len(content))] ^= 1 << random.integers(8)
    return bytes(changed)


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncated": lambda content, random: content[: random.integers(len(content))],
    "flipped": _flipped,
    "extended": lambda content, random: content + random.bytes(int(random.integers(1, 100))),
    "overwritten": lambda content, random: random.bytes(len(content)),
    "zeroed": lambda content, random: content[: (cut := random.integers(len(content) - 1))] + bytes(len(content) - cut),
}


@pytest.mark.parametrize("seed", range(100))
def test_a_changed_file_is_refused(seed: int, tmp_path: Path) -> None:
    index = build("flat", IDS[:20], VECTORS[:20])
    path = tmp_path / "a.twdx"
    written = write_snapshot(index, path, _identity(index))
    content = path.read_bytes()
    changed = list(MUTATIONS.values())[seed % len(MUTATIONS)](content, np.random.default_rng(seed))
    assert changed != content
    path.write_bytes(changed)
    reason = "has the SHA-256" if len(changed) == len(content) else f"has {len(changed)} bytes, expected {len(content)}"
    with pytest.raises(IntegrityError, match=f"{reason}.*twindex compact"):
        read_snapshot(path, written, _identity(index))


def test_a_sound_snapshot_of_another_state_is_refused(tmp_path: Path) -> None:
    index = build("flat", IDS[:20], VECTORS[:20])
    path = tmp_path / "a.twdx"
    mine = _identity(index)
    written = write_snapshot(index, path, mine)
    others = [
        replace(mine, gallery_id="another"),
        replace(mine, generation=4),
        replace(mine, fingerprint="0" * 64),
        replace(mine, spec_text="FLAT"),
        replace(mine, dim=DIM + 1),
        replace(mine, revision=18),
        replace(mine, count=19),
    ]
    for other in others:
        with pytest.raises(IntegrityError, match=r"The snapshot a\.twdx is of"):
            read_snapshot(path, written, other)
    assert read_snapshot(path, written, mine).count == 20


def test_snapshots_swapped_between_generations_are_refused(tmp_path: Path) -> None:
    index = build("flat", IDS[:20], VECTORS[:20])
    first, second = _identity(index), replace(_identity(index), generation=4)
    recorded = write_snapshot(index, tmp_path / "1", first)
    write_snapshot(index, tmp_path / "2", second)
    with pytest.raises(IntegrityError, match="has the SHA-256"):
        read_snapshot(tmp_path / "2", recorded, first)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    index = build("flat", IDS[:2], VECTORS[:2])
    with pytest.raises(IntegrityError, match=r"gone\.twdx cannot be read"):
        read_snapshot(tmp_path / "gone.twdx", SnapshotFile(1, ""), _identity(index))


def _forged(header: bytes, payload: bytes = b"", magic: bytes = b"TWINDEX\x01", more: int = 0) -> bytes:
    return struct.pack("<8sIQ", magic, len(header), len(payload) + more) + header + payload


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("no readable snapshot header", b""),
        ("no readable snapshot header", _forged(b"{")),
        ("no readable snapshot header", _forged(b"[]")),
        ("no readable snapshot header", _forged(b"{}")),
        ("no readable snapshot header", _forged(b"\xff")),
        ("not a snapshot of this format", _forged(b'{"identity":1,"structure":"Flat"}', magic=b"TWINDEX\x02")),
        ("not a snapshot of this format", _forged(b'{"identity":1,"structure":"Flat"}', more=1)),
        ("is of 1, expected", _forged(b'{"identity":1,"structure":"Flat"}')),
    ],
)
def test_a_recorded_file_that_is_not_a_snapshot_is_refused(reason: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.twdx"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=reason):
        read_snapshot(path, _file_of(content), _identity(build("flat", IDS[:2], VECTORS[:2])))


@pytest.mark.parametrize(
    ("structure", "reason"),
    [("nonsense", "names an unknown index"), ("PQ7", "names an unknown index"), ("HNSW32", "is not a")],
)
def test_a_recorded_file_with_a_wrong_structure_is_refused(structure: str, reason: str, tmp_path: Path) -> None:
    index = build("flat", IDS[:2], VECTORS[:2])
    identity = _identity(index)
    header = json.dumps({"identity": identity.__dict__, "structure": structure}).encode()
    content = _forged(header, index.serialize())
    path = tmp_path / "a.twdx"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=reason):
        read_snapshot(path, _file_of(content), identity)


def test_writing_under_a_wrong_identity_is_refused(tmp_path: Path) -> None:
    index = build("flat", IDS[:2], VECTORS[:2])
    with pytest.raises(ValueError, match="says 3 references of 32 dimensions, but the index has 2 of 32"):
        write_snapshot(index, tmp_path / "a", replace(_identity(index), count=3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ALL_SPECS)
def test_a_sealed_snapshot_is_the_same_index(text: str, tmp_path: Path) -> None:
    index = build(text, IDS, VECTORS)
    path, sealer = tmp_path / "a.twdx", FileSealer(b"k" * 32)
    written = write_snapshot(index, path, _identity(index), sealer)
    assert written == _file_of(path.read_bytes())
    probes = people(20, seed=2)
    hits = read_snapshot(path, written, _identity(index), sealer).search(probes, 30)
    np.testing.assert_array_equal(hits.references, index.search(probes, 30).references)
    assert b"TWINDEX" not in path.read_bytes()
    assert b"gallery-" not in path.read_bytes()


def test_a_changed_sealed_snapshot_is_refused(tmp_path: Path) -> None:
    index = build("Flat", IDS[:20], VECTORS[:20])
    path, sealer = tmp_path / "a.twdx", FileSealer(b"k" * 32)
    identity = _identity(index)
    written = write_snapshot(index, path, identity, sealer)
    content = path.read_bytes()
    with pytest.raises(IntegrityError, match=r"cannot be opened.*another key"):
        read_snapshot(path, written, identity, FileSealer(b"j" * 32))
    for other in (
        replace(identity, gallery_id="another"),
        replace(identity, revision=18),
        replace(identity, fingerprint="e" * 64),
    ):
        with pytest.raises(IntegrityError, match=r"cannot be opened.*belongs elsewhere"):
            read_snapshot(path, written, other, sealer)
    with pytest.raises(IntegrityError, match=r"no readable snapshot header|not a snapshot"):
        read_snapshot(path, written, identity)
    # The record is made to fit, so that only the seal can reveal the change.
    for changed in (content[:-1], content[:1000] + bytes([content[1000] ^ 1]) + content[1001:], content + b"\0"):
        path.write_bytes(changed)
        with pytest.raises(IntegrityError, match=r"the SHA-256|bytes, expected"):
            read_snapshot(path, written, identity, sealer)
        with pytest.raises(IntegrityError, match="cannot be opened"):
            read_snapshot(path, _file_of(changed), identity, sealer)


def test_an_unsealed_snapshot_is_refused_in_an_encrypted_gallery(tmp_path: Path) -> None:
    index = build("Flat", IDS[:20], VECTORS[:20])
    path = tmp_path / "a.twdx"
    written = write_snapshot(index, path, _identity(index))
    with pytest.raises(IntegrityError, match="is not sealed"):
        read_snapshot(path, written, _identity(index), FileSealer(b"k" * 32))
