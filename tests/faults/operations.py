"""The commands that are killed. Another one is a function here, and a line in `OPERATIONS`.

An operation plans one call of the program from what a gallery holds: its arguments, which faces it may bring and
which it may take away. Everything else that must hold is the same for all of them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.faults.light import write_photos
from tests.faults.world import Face, World

INDEXES = ("flat", "hnsw", "ivf", "pq", "sq8", "auto", "PQ16x4fs")


@dataclass(frozen=True)
class Plan:
    """One call of the program.

    Attributes:
        arguments: After `--gallery DIR`.
        comes: Faces that it enrols.
        goes: Faces that it erases.
        refused: Statuses other than 0 with which it may end undisturbed.
    """

    arguments: tuple[object, ...]
    comes: frozenset[Face] = frozenset()
    goes: frozenset[Face] = frozenset()
    refused: tuple[int, ...] = ()


@dataclass
class Surroundings:
    """What operations draw from.

    Attributes:
        random: Every choice's.
        folder: For photos.
        models: Fingerprints of the installed models.
    """

    random: random.Random
    folder: Path
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        self._numbers = count()

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


OPERATIONS: dict[str, Operation] = {
    "enrol": enrol,
    "compact": compact,
    "reindex": reindex,
    "another model": another_model,
    "roll back": roll_back,
    "prune": prune,
    "erase": erase,
}
