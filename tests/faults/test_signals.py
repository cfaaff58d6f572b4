"""SIGINT and SIGTERM at random moments: the right exit status, one line, and the same command goes on."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.launcher import Launcher
from tests.faults.operations import Operation, Plan, Surroundings, enrol, reindex
from tests.faults.world import World, check

pytestmark = [pytest.mark.slow, pytest.mark.encryption]

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("operation", [enrol, reindex])
def test_a_polite_stop_keeps_everything_and_is_resumable(
    launcher: Launcher, around: Surroundings, folder: Path, number: signal.Signals, operation: Operation
) -> None:
    stopped = stop_many(launcher, around, World(folder / "gallery"), number, operation, times=3)
    assert stopped > 0


def stop_many(
    launcher: Launcher, around: Surroundings, world: World, number: signal.Signals, operation: Operation, times: int
) -> int:
    """Stop a command so many times at random moments, then let it end; how often it was stopped before its end."""
    stopped = 0
    if operation is not enrol:
        _settle(launcher, world, enrol(world, around))
    for turn in range(times):
        plan = operation(world, around)
        running = launcher.start("--gallery", world.gallery, *plan.arguments)
        running.wait_for_start()
        time.sleep(_moment(around.random, turn))
        running.signal(number)
        outcome = running.wait()
        assert "Traceback" not in outcome.err
        if outcome.status == -number:
            # So late that the interpreter was ending and had let go of its handlers; a shell shows 128 and the number.
            assert outcome.out
        elif outcome.status:
            assert outcome.status == SIGNALS[number], outcome
            assert "Stopped; what was finished is kept. Run the same command again to go on." in outcome.err
            stopped += 1
        _settle(launcher, world, plan)
    return stopped


def _moment(chance: random.Random, turn: int) -> float:
    """The first at once, so that at least one comes before the end; the others when they come."""
    return chance.random() * 0.4 if turn else 0.0


def _settle(launcher: Launcher, world: World, plan: Plan) -> None:
    """What was acknowledged is there; the same command then goes on and ends well."""
    if (world.gallery / "gallery.sqlite").exists():
        world.settle(plan.comes, (), ())
        check(world)
    outcome = launcher.run("--gallery", world.gallery, *plan.arguments)
    assert outcome.status == 0, outcome
    world.settle(plan.comes, (), ())
    assert plan.comes <= set(world.held)
    check(world)
