"""The commands that are killed. Another one is a function here, and a line in `OPERATIONS`.

An operation plans one call of the program from what a gallery holds: its arguments, which faces it may bring and
which it may take away. Everything else that must hold is the same for all of them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from tests.faults.light import write_photos
from tests.faults.world import Face, World, elsewhere, opened
from twindex.storage.values.terms import Terms

PAST = Terms(expires=datetime(2001, 1, 1, tzinfo=UTC))
INDEXES = ("flat", "hnsw", "ivf", "pq", "sq8", "auto", "PQ16x4fs")


@dataclass(frozen=True)
class Plan:
    """One call of the program.

    Attributes:
        arguments: After `World.options`.
        before: Those of a command that comes first, and is left alone.
        comes: Faces that it enrols.
        goes: Faces that it erases.
        refused: Statuses other than 0 with which it may end undisturbed.
        makes: Another gallery that it makes, whole or not at all; this one is done with then.
        keys: What the gallery may open with once it was killed, the last if it was not.
    """

    arguments: tuple[object, ...]
    before: tuple[object, ...] = ()
    comes: frozenset[Face] = frozenset()
    goes: frozenset[Face] = frozenset()
    refused: tuple[int, ...] = ()
    makes: World | None = None
    keys: tuple[Path | None, ...] = ()


@dataclass
class Surroundings:
    """What operations draw from.

    Attributes:
        random: Every choice's.
        folder: For photos, archives and keys.
        models: Fingerprints of the installed models.
        keys: Files with keys of encrypted galleries.
    """

    random: random.Random
    folder: Path
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        self._numbers = count()
        self.keys = tuple(self.folder / f"{digits}.key" for digits in ("5e", "a7"))
        for file in self.keys:
            file.touch(mode=0o600)
            file.write_text(file.stem * 32, "ascii")

    def number(self) -> int:
        """A photo that was not used yet."""
        return next(self._numbers)


Operation = Callable[[World, Surroundings], Plan]


def enrol(world: World, around: Surroundings) -> Plan:
    """A folder of new photos, of known subjects and of new ones; more than one commit."""
    subjects = [f"subject {around.random.randrange(8)}" for _ in range(3)]
    faces = [(around.random.choice(subjects), around.number()) for _ in range(around.random.randint(3, 24))]
    folder = around.folder / f"photos-{faces[0][1]}"
    write_photos(folder, faces)
    return Plan(("enroll", folder, "--pre-cropped"), comes=frozenset(faces))


def compact(_world: World, _around: Surroundings) -> Plan:
    return Plan(("compact",))


def reindex(_world: World, around: Surroundings) -> Plan:
    """Another index type."""
    return Plan(("reindex", "--index", around.random.choice(INDEXES)))


def another_model(_world: World, around: Surroundings) -> Plan:
    """Every crop is embedded again."""
    return Plan(("reindex", "--model", around.random.choice(around.models), "--index", around.random.choice(INDEXES)))


def roll_back(_world: World, _around: Surroundings) -> Plan:
    return Plan(("reindex", "--rollback"), refused=(2,))


def prune(_world: World, _around: Surroundings) -> Plan:
    return Plan(("reindex", "--prune"))


def erase(world: World, around: Surroundings) -> Plan:
    subject = around.random.choice(world.subjects)
    return Plan(("subjects", "erase", subject, "--yes"), goes=frozenset(world.of(subject)))


def purge(world: World, around: Surroundings) -> Plan:
    """Some references have expired; without the command, they are still there."""
    faces = sorted(world.held)
    chosen = around.random.sample(faces, min(len(faces), around.random.randint(1, 6)))
    with opened(world, read_only=False) as gallery:
        gallery.store.references.renew({world.held[face]: PAST for face in chosen})
    world.expired.update(chosen)
    return Plan(("subjects", "purge"), goes=frozenset(world.expired))


def move(world: World, around: Surroundings) -> Plan:
    """An archive of the gallery is imported, and it lives on there."""
    archive = around.folder / "archive"
    archive.unlink(missing_ok=True)
    made = elsewhere(world, world.gallery.with_name(f"imported-{around.number()}"))
    return Plan(("import", archive), before=("export", archive), makes=made)


def rekey(world: World, around: Surroundings) -> Plan:
    """Another key, the first one, or none any more."""
    wanted = around.random.choice([key for key in (None, *around.keys) if key != world.key])
    how = ("--remove-key",) if wanted is None else ("--new-key-file", wanted)
    return Plan(("rekey", *how), keys=(world.key, wanted))


OPERATIONS: dict[str, Operation] = {
    "enrol": enrol,
    "compact": compact,
    "reindex": reindex,
    "another model": another_model,
    "roll back": roll_back,
    "prune": prune,
    "erase": erase,
    "purge": purge,
    "import": move,
    "rekey": rekey,
}
