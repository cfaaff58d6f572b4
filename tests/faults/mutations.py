"""Damage to the files of a gallery: every snapshot refused and rebuilt, a database never taken for a smaller one."""

import hashlib
import json
import logging
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.light import kept_crop, template
from tests.faults.world import BrokenPromiseError, World, check_answers, check_templates, opened, snapshot_files
from twindex.config import DATABASE
from twindex.errors import TwindexError
from twindex.gallery import Gallery
from twindex.gallery.captures import Capture
from twindex.gallery.doctor.checkup import examine
from twindex.jobs.reindex import reindex
from twindex.types import Sample

FACES = 64
INDEXES = ("flat", "hnsw", "ivf", "PQ16x4fs")


@dataclass(frozen=True)
class Damaged:
    """How often each kind of damage was done, and how often it was refused."""

    done: Counter[str]
    refused: Counter[str]


class Originals:
    """Galleries to damage copies of: one with a snapshot of every index type, another one, an earlier revision.

    Args:
        folder: Where they are made.
        keep_crops: Crops fill most pages of a database; without them damage hits everything else.
    """

    def __init__(self, folder: Path, *, keep_crops: bool = True) -> None:
        self.folder = folder
        self.world = World(folder / "one")
        self.strangers: list[bytes] = []
        with Gallery.create(folder / "two") as other:
            _enrol(other, World(folder / "two"), range(FACES))
            self.strangers.append(_compacted(other))
        with Gallery.create(self.world.gallery, keep_crops=keep_crops) as gallery:
            _enrol(gallery, self.world, range(FACES - 1))
            self.strangers.append(_compacted(gallery))
            _enrol(gallery, self.world, range(FACES - 1, FACES))
            for index in INDEXES:
                reindex(gallery, None, index, lambda _done, _total: None)
                self.strangers.append(snapshot_files(self.world.gallery)[-1].read_bytes())
            self.strangers.pop()  # of the active generation

    def copy(self, name: str) -> World:
        """A copy to damage."""
        folder = self.folder / name
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.world.gallery, folder)
        return World(folder, dict(self.world.held), self.world.highest)


def damage_snapshots(originals: Originals, chance: random.Random, times: int) -> Damaged:
    """Damage the active snapshot of a copy again and again.

    Raises:
        BrokenPromiseError: Damage was not refused, or changed an answer.
    """
    world = originals.copy("damaged")
    with opened(world) as gallery:
        snapshot = gallery.active().snapshot
    assert snapshot is not None
    file, record = world.gallery / "index" / snapshot.file, (snapshot.length, snapshot.sha256)
    sound = file.read_bytes()
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    kinds = list(SNAPSHOT_DAMAGE)
    for turn in range(times):
        kind = kinds[turn % len(kinds)]
        content = SNAPSHOT_DAMAGE[kind](sound, originals.strangers, chance)
        done[kind] += 1
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        if kind.endswith("recorded") and content is not None:
            _record(world.gallery, len(content), hashlib.sha256(content).hexdigest())
        refused[kind] += _is_refused(world)
        file.write_bytes(sound)
        _record(world.gallery, *record)
    with refusals() as said:
        _search(world)
    if said:
        raise BrokenPromiseError("torn", f"a sound snapshot is refused: {said}")
    return Damaged(done, refused)


def damage_databases(originals: Originals, chance: random.Random, times: int) -> Damaged:
    """Damage the database of a copy again and again: reported, or what it holds is what it held.

    Raises:
        BrokenPromiseError: Neither is the case.
    """
    world = originals.copy("damaged")
    file = world.gallery / DATABASE
    sound = file.read_bytes()
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    kinds = list(DATABASE_DAMAGE)
    for turn in range(times):
        kind = kinds[turn % len(kinds)]
        content = bytearray(sound)
        DATABASE_DAMAGE[kind](content, chance)
        file.write_bytes(content)
        done[kind] += 1
        refused[kind] += _is_reported(world, kind)
        file.write_bytes(sound)
    return Damaged(done, refused)


def _truncated(sound: bytes, _strangers: list[bytes], chance: random.Random) -> bytes:
    return sound[: chance.randrange(len(sound))]


def _flipped(sound: bytes, _strangers: list[bytes], chance: random.Random) -> bytes:
    content = bytearray(sound)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def _zeroed(sound: bytes, _strangers: list[bytes], chance: random.Random) -> bytes:
    length = min(512, len(sound) // 2)
    start = chance.randrange(len(sound) - length)
    return sound[:start] + bytes(length) + sound[start + length :]


def _grown(sound: bytes, _strangers: list[bytes], chance: random.Random) -> bytes:
    return sound + chance.randbytes(chance.randint(1, 4096))


def _swapped(_sound: bytes, strangers: list[bytes], chance: random.Random) -> bytes:
    return chance.choice(strangers)


def _deleted(_sound: bytes, _strangers: list[bytes], _chance: random.Random) -> None:
    return None


SNAPSHOT_DAMAGE: dict[str, Callable[[bytes, list[bytes], random.Random], bytes | None]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "zeroed": _zeroed,
    "grown": _grown,
    "swapped": _swapped,
    # With the database's record of length and SHA-256 changed to fit: only the identity tells.
    "swapped and recorded": _swapped,
    "deleted": _deleted,
}


def _flip_in_database(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _flip_many_in_database(content: bytearray, chance: random.Random) -> None:
    for _ in range(200):
        _flip_in_database(content, chance)


def _zero_a_page(content: bytearray, chance: random.Random) -> None:
    start = 4096 * chance.randrange(len(content) // 4096)
    content[start : start + 4096] = bytes(4096)


def _truncate_database(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _empty_database(content: bytearray, _chance: random.Random) -> None:
    content.clear()


DATABASE_DAMAGE: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flipped": _flip_in_database,
    "flipped again": _flip_in_database,
    "flipped all over": _flip_many_in_database,
    "page zeroed": _zero_a_page,
    "truncated": _truncate_database,
    "emptied": _empty_database,
}


@contextmanager
def refusals() -> Iterator[list[str]]:
    """What is logged of snapshots that are refused."""
    said: list[str] = []
    log = logging.getLogger("twindex.gallery.search.searchable")
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]  # no class for one use
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def _is_refused(world: World) -> bool:
    with refusals() as said:
        _search(world)
    return any("is refused, and the index rebuilt" in line for line in said)


def _search(world: World) -> None:
    with opened(world) as gallery:
        check_answers(gallery, world, [(f"subject {number % 8}", number) for number in (0, FACES // 2, FACES - 1)])


def _is_reported(world: World, kind: str) -> bool:
    """Whether the damage is told, by opening, by the doctor or by a search; if it is not, everything is as it was."""
    try:
        with Gallery.open(world.gallery, read_only=True) as gallery:
            if examine(gallery):
                return True
            found = {
                one.subject: [reference.reference for reference in gallery.store.subjects.show(one.subject).references]
                for one in gallery.store.subjects.list()
            }
            expected: dict[str, list[int]] = {}
            for (subject, _), reference in sorted(world.held.items(), key=lambda one: one[1]):
                expected.setdefault(subject, []).append(reference)
            if found != expected:
                raise BrokenPromiseError(
                    "torn", f"{kind}: the database answers {found}, not {expected}, without a word"
                )
            check_templates(gallery, world)
            check_answers(gallery, world, [("subject 0", 0)])
            return False
    except TwindexError:
        return True
    except BrokenPromiseError:
        raise
    except Exception as error:
        raise BrokenPromiseError("torn", f"{kind}: {type(error).__name__} instead of a report: {error}") from error


def _enrol(gallery: Gallery, world: World, numbers: range) -> None:
    samples = [
        Sample(hashlib.sha256(b"%d" % number).hexdigest(), f"{number}.png", 0, None, 50.0, kept_crop(number))
        for number in numbers
    ]
    captures = [Capture(sample, f"subject {number % 8}") for sample, number in zip(samples, numbers, strict=True)]
    for capture, number, done in zip(captures, numbers, gallery.commit(captures), strict=True):
        assert done.reference is not None
        world.held[capture.subject, number] = done.reference
        world.highest = done.reference
    fingerprint = gallery.active().fingerprint
    _, vectors = gallery.store.references.vectors(fingerprint, [world.held[f"subject {numbers[0] % 8}", numbers[0]]])
    np.testing.assert_array_equal(vectors[0], template(numbers[0], fingerprint))


def _compacted(gallery: Gallery) -> bytes:
    return (gallery.snapshots / gallery.searchable().compact().file).read_bytes()


def _record(folder: Path, length: int, sha256: str) -> None:
    """Change what the database says of the active snapshot, as somebody who can write to it could."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        (text,) = connection.execute("SELECT snapshot FROM generations WHERE state = 'active'").fetchone()
        record = json.dumps({**json.loads(text), "length": length, "sha256": sha256})
        connection.execute("UPDATE generations SET snapshot = ? WHERE state = 'active'", (record,))
        connection.commit()
