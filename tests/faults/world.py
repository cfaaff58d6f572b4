"""What a gallery must hold, and the check that it does: the invariants I1 to I8 of docs/guarantees.md."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tests.faults.light import kept_crop, template
from twindex.config import SNAPSHOTS
from twindex.embedder.embedder import Embedder
from twindex.encryption.keys import read_key_file
from twindex.errors import TwindexError
from twindex.gallery import Gallery
from twindex.gallery.search.candidates import best_subjects
from twindex.gallery.search.searchable import SearchableGeneration, open_snapshot
from twindex.storage import Store

Face = tuple[str, int]
"""A subject and the number of a photo."""
Kind = Literal["lost", "torn", "blocked", "left behind"]
_WINDOW = 32


class BrokenPromiseError(AssertionError):
    """A promise that the gallery did not keep.

    Args:
        kind: "lost": something acknowledged is not there. "torn": half a change, or a wrong answer, or a snapshot that
            is not what was recorded. "blocked": the gallery does not open. "left behind": bytes of an erased person.
        text: What it was.
    """

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass
class World:
    """A gallery, and what its user was told that it holds.

    Attributes:
        gallery: Its folder; it need not exist yet.
        held: Each face enrolled, with its reference.
        highest: The highest reference ever seen.
        expired: The faces among them that answer no query any more.
        key: The file with its key, if it is encrypted.
    """

    gallery: Path
    held: dict[Face, int] = field(default_factory=dict)
    highest: int = 0
    expired: set[Face] = field(default_factory=set)
    key: Path | None = None

    @property
    def options(self) -> tuple[object, ...]:
        """What the program needs to know of it, before a command."""
        return ("--gallery", self.gallery, *(() if self.key is None else ("--key-file", self.key)))

    @property
    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self.held})

    def of(self, subject: str) -> list[Face]:
        """The faces of one subject."""
        return [face for face in self.held if face[0] == subject]

    def settle(self, may_come: Iterable[Face], may_go: Iterable[Face], enrolled: Iterable[tuple[Face, int]]) -> None:
        """See that the gallery holds all it must and nothing it cannot, then take what it holds for the truth.

        Args:
            may_come: Faces that a command was enrolling.
            may_go: Faces that a command was erasing: all of them go, or none.
            enrolled: Faces with their references that it acknowledged.

        Raises:
            BrokenPromiseError: It does not.
        """
        found = self._found()
        must = {**self.held, **dict(enrolled)}
        leaving = set(may_go)
        for face, reference in must.items():
            if face not in leaving and found.get(face) != reference:
                raise BrokenPromiseError("lost", f"{face} had reference {reference}, has {found.get(face)} (I1)")
        if leaving & set(found) and not leaving <= set(found):
            raise BrokenPromiseError("torn", f"half erased: {sorted(leaving & set(found))} of {sorted(leaving)} (I6)")
        odd = set(found) - set(must) - set(may_come)
        if odd:
            raise BrokenPromiseError("torn", f"nobody enrolled {sorted(odd)}")
        for face in set(found) - set(self.held):
            if found[face] <= self.highest:
                raise BrokenPromiseError("torn", f"{face} got the reference {found[face]}, which was used before (I5)")
        self.held = found
        self.expired &= set(found)
        self.highest = max([self.highest, *found.values()])

    def _found(self) -> dict[Face, int]:
        with opened(self) as gallery:
            found: dict[Face, int] = {}
            for one in gallery.store.subjects.list():
                for reference in gallery.store.subjects.show(one.subject).references:
                    face = one.subject, int(Path(reference.source_name).stem)
                    if face in found:
                        raise BrokenPromiseError("torn", f"{face} is enrolled twice (I7)")
                    found[face] = reference.reference
        return found


class opened:  # noqa: N801  # used as a function
    """A gallery opened as a query opens it, or BrokenPromiseError "blocked"."""

    def __init__(self, world: World, *, read_only: bool = True) -> None:
        try:
            key = None if world.key is None else read_key_file(world.key)
            self._gallery = Gallery.open(world.gallery, read_only=read_only, key=key)
        except TwindexError as error:
            raise BrokenPromiseError("blocked", f"{error} (I8)") from error

    def __enter__(self) -> Gallery:
        return self._gallery

    def __exit__(self, *_: object) -> None:
        self._gallery.close()


def check(world: World, *, snapshots: bool = True) -> None:
    """See that every invariant holds; `World.settle` comes first.

    Args:
        world: Whose gallery it is.
        snapshots: Whether those that are listed must be there.

    Raises:
        BrokenPromiseError: One does not.
    """
    with opened(world) as gallery:
        damage = [one.text for one in gallery.store.check()]
        if damage:
            raise BrokenPromiseError("torn", "; ".join(damage))
        if snapshots:
            check_snapshots(gallery)
        check_templates(gallery, world)
        check_items(gallery.store, world)
        check_answers(gallery, world, _probed(world))


def check_snapshots(gallery: Gallery) -> None:
    """I3: every snapshot that is listed is the one that was recorded."""
    for generation in gallery.store.generations.list():
        if generation.snapshot is not None:
            dim = gallery.embedder(generation.fingerprint).dim
            try:
                open_snapshot(gallery.store, gallery.snapshots, generation, dim)
            except TwindexError as error:
                raise BrokenPromiseError("torn", f"a listed snapshot is refused: {error} (I3)") from error


def check_templates(gallery: Gallery, world: World) -> None:
    """I1: every reference has the very bytes of its template under the model that answers."""
    fingerprint = gallery.active().fingerprint
    found, vectors = gallery.store.references.vectors(fingerprint, list(world.held.values()))
    stored = dict(zip(found.tolist(), vectors, strict=True))
    for (subject, number), reference in world.held.items():
        expected = template(number, fingerprint).tobytes()
        if reference not in stored or stored[reference].tobytes() != expected:
            raise BrokenPromiseError("lost", f"the template of {subject}, {number}, reference {reference} (I1)")


def check_items(store: Store, world: World) -> None:
    """I7: a job's item is enrolled if and only if its reference is there."""
    for job in store.jobs.list():
        for item in store.jobs.items(job.id):
            if not item.path:
                continue
            face = item.subject, int(Path(item.path).stem)
            if item.status in ("enrolled", "skipped") and world.held.get(face) != item.reference:
                raise BrokenPromiseError("torn", f"item {item.id} says {item.status}, but {face} is not held (I7)")
            if item.status == "pending" and face in world.held and not _enrolled_elsewhere(store, job.id, item):
                raise BrokenPromiseError("torn", f"item {item.id} is pending, but {face} is held (I7)")


def check_answers(gallery: Gallery, world: World, probes: Iterable[Face]) -> None:
    """I1, I2, I5: the index holds what is held; each probe is its own first candidate, without any index file too."""
    with_files = _answers(gallery, gallery.searchable(), world, probes)
    active = gallery.active()
    dim = gallery.embedder(active.fingerprint).dim
    nowhere = gallery.folder / "no-such-folder"
    from_store = SearchableGeneration(gallery.store, nowhere, replace(active, snapshot=None), dim)
    if with_files != _answers(gallery, from_store, world, probes):
        raise BrokenPromiseError("torn", "without the index files the answers are others (I2)")


def remnants(folder: Path, secrets: Iterable[bytes]) -> list[str]:
    """The names of the files that hold 32 bytes in a row of a secret, tried at every eighth place of it."""
    files = {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return sorted(
        name
        for name, content in files.items()
        if any(
            secret[start : start + _WINDOW] in content
            for secret in secrets
            for start in range(0, len(secret) - _WINDOW + 1, 8)
        )
    )


def secrets_of(faces: Iterable[Face], fingerprints: Iterable[str]) -> Iterator[bytes]:
    """The stored bytes of faces: vectors, and four windows of each crop."""
    prints = list(fingerprints)
    for _, number in faces:
        yield from (template(number, fingerprint).tobytes() for fingerprint in prints)
        crop = kept_crop(number)
        # The first 600 bytes are the tables of every JPEG.
        for start in np.linspace(600, len(crop) - _WINDOW, 4, dtype=int).tolist():
            yield crop[start : start + _WINDOW]


def copied(world: World, folder: Path) -> World:
    """The same gallery elsewhere."""
    if world.gallery.exists():
        shutil.copytree(world.gallery, folder)
    return elsewhere(world, folder)


def elsewhere(world: World, folder: Path) -> World:
    """A gallery that holds the same, in another folder."""
    return replace(world, gallery=folder, held=dict(world.held), expired=set(world.expired))


def snapshot_files(gallery: Path) -> list[Path]:
    """The files in the index folder."""
    folder = gallery / SNAPSHOTS
    return sorted(folder.iterdir()) if folder.exists() else []


def _answers(
    gallery: Gallery, searchable: SearchableGeneration, world: World, probes: Iterable[Face]
) -> list[list[tuple[str, int, float]]]:
    held = sorted(world.held.values())
    if searchable.references().tolist() != held:
        raise BrokenPromiseError("torn", f"the index holds {searchable.references().tolist()}, not {held} (I1, I5)")
    fingerprint = searchable.generation.fingerprint
    embedder: Embedder = gallery.embedder(fingerprint)
    head = embedder.card.head
    answers = []
    for subject, number in probes:
        candidates = best_subjects(gallery.store, searchable, template(number, fingerprint), head, 3)
        # Another subject may hold the same photo.
        nearest = {one.subject: one for one in candidates if one.distance < 1e-6}
        if subject not in nearest or nearest[subject].reference != world.held[subject, number]:
            raise BrokenPromiseError("lost", f"{subject}, {number} is not its own first candidate: {candidates} (I1)")
        answers.append([(one.subject, one.reference, round(one.distance, 6)) for one in candidates])
    return answers


def _probed(world: World) -> list[Face]:
    """Six faces spread over those that answer, the newest among them."""
    faces = sorted(set(world.held) - world.expired, key=lambda face: world.held[face])
    return [faces[place] for place in np.unique(np.linspace(0, len(faces) - 1, 6, dtype=int))] if faces else []


def _enrolled_elsewhere(store: Store, job: int, item: Any) -> bool:
    """Whether an earlier job enrolled the item's face: its own item waits to be skipped."""
    return any(
        (one.path, one.subject) == (item.path, item.subject) and one.status != "pending"
        for other in store.jobs.list()
        if other.id != job
        for one in store.jobs.items(other.id)
    )
