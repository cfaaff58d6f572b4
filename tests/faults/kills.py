"""Killing the program, at random moments and at named points, and looking at what is left."""

import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.encrypted import showing
from tests.faults.deaths import KILL_AT
from tests.faults.launcher import Launcher, Outcome
from tests.faults.operations import OPERATIONS, Plan, Surroundings
from tests.faults.world import BrokenPromiseError, World, check, copied, opened, remnants, secrets_of
from twindex.config import DATABASE
from twindex.gallery.doctor.checkup import examine
from twindex.gallery.doctor.folder_checks import check_folder, leftovers
from twindex.gallery.doctor.mending import mend

KILLED = -signal.SIGKILL
_LARGE = 100  # references, from which on a new gallery is begun
_FINISHED_AFTER_KILL = 0.4  # share of kills after which the same command is given again


@dataclass
class Tally:
    """What happened so far."""

    kills: int = 0
    acknowledged: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)
    by_point: Counter[str] = field(default_factory=Counter)
    encrypted: int = 0
    broken: list[BrokenPromiseError] = field(default_factory=list)

    def count(self, *kinds: str) -> int:
        """How many broken promises are of these kinds."""
        return sum(one.kind in kinds for one in self.broken)


class Killing:
    """A gallery that lives on from kill to kill, until it is large or a promise was broken.

    Args:
        launcher: Starts the program.
        around: What operations draw from.
        folder: For galleries.
        stop_at_once: Whether a broken promise is raised; otherwise it is counted, and a new gallery begun.
    """

    def __init__(self, launcher: Launcher, around: Surroundings, folder: Path, *, stop_at_once: bool) -> None:
        self.tally = Tally()
        self._launcher = launcher
        self._around = around
        self._folder = folder
        self._stop_at_once = stop_at_once
        self._begun = 0
        self._usual_seconds: dict[str, float] = {}
        self._passages: dict[tuple[str, bool], list[tuple[str, int]]] = {}
        self.world = self._new_world()

    def kill_many(self, kills: int) -> None:
        """Until that many processes were killed: half of them at random moments, half at named points."""
        operations = self._in_turn()
        while self.tally.kills < kills:
            name = next(operations)
            try:
                self._round(name, named=self.tally.kills % 2 == 1)
            except BrokenPromiseError as broken:
                if self._stop_at_once:
                    raise
                print(f"{name}: {broken}", file=sys.stderr, flush=True)
                self.tally.broken.append(broken)
                self.begin_anew()
            if len(self.world.held) > _LARGE:
                self.begin_anew()

    def begin_anew(self) -> None:
        """Go on with an empty gallery: every other one is encrypted from its start."""
        self.world = self._new_world()

    def _round(self, name: str, *, named: bool) -> None:
        if not self.world.held:
            self._finish("enrol", OPERATIONS["enrol"](self.world, self._around))
        plan = OPERATIONS[name](self.world, self._around)
        if plan.before:
            self._finish(name, Plan(plan.before))
        source, self.world = self.world, plan.makes or self.world
        outcome, point = self._at_a_point(name, plan) if named else self._at_a_moment(name, plan)
        if outcome.status == KILLED:
            self.tally.kills += 1
            self.tally.by_operation[name] += 1
            self.tally.by_point[point] += 1
            self.tally.encrypted += self.world.key is not None
        self._look(name, plan, outcome)
        if outcome.status == KILLED and (plan.makes or self._random.random() < _FINISHED_AFTER_KILL):
            self._finish(name, plan)
        if plan.makes:
            shutil.rmtree(source.gallery)

    @property
    def _random(self) -> random.Random:
        return self._around.random

    def _at_a_moment(self, name: str, plan: Plan) -> tuple[Outcome, str]:
        running = self._launcher.start(*self.world.options, *plan.arguments)
        time.sleep(self._random.random() * self._usual_seconds.setdefault(name, 0.3))
        running.signal(signal.SIGKILL)
        outcome = running.wait()
        # A command that ends before its kill is one that takes less time than was thought.
        self._usual_seconds[name] *= 1.1 if outcome.status == KILLED else 0.9
        return outcome, "random"

    def _at_a_point(self, name: str, plan: Plan) -> tuple[Outcome, str]:
        known, killed_at = self._known_passages(name, plan), self.tally.by_point
        # Where fewest have died: a commit has one passage for dozens of written pages.
        fewest = min(killed_at[point] for point, _ in known)
        point, passage = self._random.choice([one for one in known if killed_at[one[0]] == fewest])
        environment = {KILL_AT: f"{point}:{passage}"}
        return self._launcher.run(*self.world.options, *plan.arguments, environment=environment), point

    def _known_passages(self, name: str, plan: Plan) -> list[tuple[str, int]]:
        """Points and which of their passages, a dozen a point at most: counted on a copy, once for each operation.

        An encrypted gallery is counted for itself: another SQLite keeps another journal.
        """
        known = name, self.world.key is not None
        if known not in self._passages:
            copy = copied(self.world, self._folder / f"counted-{name}")
            passed = self._launcher.run(*copy.options, *plan.arguments, count=True).passed
            shutil.rmtree(copy.gallery)
            most = 12
            self._passages[known] = [
                (point, 1 + place * times // min(times, most))
                for point, times in passed.items()
                for place in range(min(times, most))
            ]
        return self._passages[known]

    def _finish(self, name: str, plan: Plan) -> None:
        """Give the command again: it goes on, and ends well."""
        if self._is_done(plan):
            return
        outcome = self._launcher.run(*self.world.options, *plan.arguments)
        if outcome.status not in (0, *plan.refused):
            raise BrokenPromiseError("blocked", f"{name} given again ends with {outcome.status}: {outcome.err} (I8)")
        self._look(name, plan, outcome)
        if not plan.comes <= set(self.world.held) and not outcome.status:
            raise BrokenPromiseError("lost", f"{name} given again left out {plan.comes - set(self.world.held)} (I7)")

    def _is_done(self, plan: Plan) -> bool:
        """Whether the killed command had done its work: given again, it would be refused, or do something else."""
        erased = plan.goes and not plan.goes & set(self.world.held)
        made = plan.makes and (plan.makes.gallery / DATABASE).exists()
        return bool(erased or made or (plan.keys and self.world.key == plan.keys[-1]))

    def _look(self, name: str, plan: Plan, outcome: Outcome) -> None:
        """See that every promise is kept after a command, killed or not."""
        if "Traceback" in outcome.err:
            raise BrokenPromiseError("torn", f"{name} shows a traceback: {outcome.err}")
        if outcome.status not in (KILLED, 0, *plan.refused):
            raise BrokenPromiseError("blocked", f"{name} ends with {outcome.status}: {outcome.err}")
        acknowledged = [
            ((one["subject"], int(Path(one["path"]).stem)), one["reference"])
            for one in outcome.acknowledged
            if one["status"] != "failed"
        ]
        self.tally.acknowledged += len(acknowledged)
        killed = outcome.status == KILLED
        if not (self.world.gallery / DATABASE).exists():
            if acknowledged or (self.world.held and not (plan.makes and killed)):
                raise BrokenPromiseError("lost", f"there is no gallery after {name}")
            return
        if plan.keys:
            self.world.key = self._key_in_force(plan.keys) if killed else plan.keys[-1]
        self.world.settle(plan.comes, plan.goes, acknowledged)
        # A change of the key removes the snapshots first, for they are encrypted with the old one, or not at all.
        check(self.world, snapshots=not (plan.keys and killed))
        if plan.goes and not plan.goes & set(self.world.held):
            self._look_for_remnants(plan, told="erased, " in outcome.out)
        elif plan.goes and "erased, " in outcome.out:
            raise BrokenPromiseError("left behind", f"{sorted(plan.goes)} were said to be erased (I6)")
        if plan.keys or plan.makes or self._random.random() < 0.1:
            self._repair()

    def _key_in_force(self, keys: tuple[Path | None, ...]) -> Path | None:
        """The first of these keys with which the gallery opens; the last if it opens with none."""
        for key in keys[:-1]:
            with suppress(BrokenPromiseError), opened(replace(self.world, key=key)):
                return key
        return keys[-1]

    def _look_for_remnants(self, plan: Plan, *, told: bool) -> None:
        """I6: once an erasure is acknowledged, or the doctor has finished one that was killed, nothing is left."""
        if not told:
            self._repair()
        found = remnants(self.world.gallery, secrets_of(plan.goes, self._around.models))
        if found:
            raise BrokenPromiseError("left behind", f"bytes of {sorted(plan.goes)} in {found} (I6)")

    def _repair(self) -> None:
        """I8: whatever a kill left, the doctor mends; and then an encrypted gallery shows nobody."""
        folder = self.world.gallery
        with opened(self.world, read_only=False) as gallery:
            mend(gallery, [*examine(gallery), *check_folder(folder)])
            left = [one.text for one in examine(gallery) if one.severity == "error"]
        if left or leftovers(folder):
            raise BrokenPromiseError("torn", f"the doctor cannot mend: {left}, {leftovers(folder)}")
        check(self.world)
        if self.world.key is not None and (shown := showing(folder, secrets_of(self.world.held, self._around.models))):
            raise BrokenPromiseError("left behind", f"an encrypted gallery shows faces in {shown}")

    def _in_turn(self) -> Iterator[str]:
        """Every operation equally often, in an order that is drawn anew each time."""
        while True:
            names = [*OPERATIONS, "enrol"]
            self._random.shuffle(names)
            yield from names

    def _new_world(self) -> World:
        self._begun += 1
        return World(self._folder / f"gallery-{self._begun}", key=self._around.keys[0] if self._begun % 2 else None)
