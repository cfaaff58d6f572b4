"""The long form of these tests: python -m tests.faults.torture [--kills N] [--mutations N] [--additions N] [--seed S].

Prints the seed first and a line that sums up last; exits with 1 if anything was lost, torn or blocked, if a damaged
snapshot was not refused, or if an addition of one of two writers is missing.
"""

import argparse
import os
import random
import secrets
import signal
import sys
import time
from pathlib import Path

from tests.faults.kills import Killing, Tally
from tests.faults.launcher import Launcher
from tests.faults.light import light_embedder, memory_folder, write_other_model
from tests.faults.mutations import Originals, damage_databases, damage_snapshots
from tests.faults.operations import Surroundings, enrol, reindex
from tests.faults.test_side_by_side import two_writers
from tests.faults.test_signals import stop_many
from tests.faults.world import World
from twindex.embedder.model.registry import find_model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("kills", 1_000), ("mutations", 500), ("additions", 300), ("stops", 20)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"torture: seed {asked.seed}", flush=True)
    with memory_folder() as folder, light_embedder():
        os.environ.update(TWINDEX_HOME=str(folder / "home"), TWINDEX_CACHE=str(folder / "cache"))
        other = write_other_model(folder / "home").card.fingerprint
        models = (find_model("default").card.fingerprint, other)
        with Launcher({}) as launcher:
            around = Surroundings(random.Random(asked.seed), folder, models)
            tally = _kill(launcher, around, folder, asked.kills)
            stopped = _stop(launcher, around, folder, asked.stops)
            written = two_writers(launcher, folder / "home", around, _made(folder / "writers"), asked.additions)
        originals = Originals(_made(folder / "originals"))
        snapshots = damage_snapshots(originals, around.random, asked.mutations)
        bare = Originals(_made(folder / "bare"), keep_crops=False)
        databases = damage_databases(bare, around.random, asked.mutations)
    print(
        f"torture: killed in {dict(tally.by_operation)}, at {dict(tally.by_point)}; {tally.encrypted} of an encrypted "
        f"gallery; {stopped} stopped by a signal"
    )
    print(
        f"torture: {databases.done.total()} damaged databases, {databases.refused.total()} reported, "
        "the others hold what they held"
    )
    print(
        f"torture: seed {asked.seed}: {tally.kills} kills, {tally.acknowledged} acknowledged, "
        f"{tally.count('lost')} lost, {tally.count('torn', 'left behind')} torn, "
        f"{tally.count('blocked')} blocked starts; {snapshots.done.total()} mutations, "
        f"{snapshots.refused.total()} refused; {written} of {2 * asked.additions}",
        flush=True,
    )
    sound = not tally.broken and snapshots.done == snapshots.refused and written == 2 * asked.additions
    return 0 if sound else 1


def _kill(launcher: Launcher, around: Surroundings, folder: Path, kills: int) -> Tally:
    """All kills, and a line now and then."""
    killing = Killing(launcher, around, folder, stop_at_once=False)
    started = time.monotonic()
    for goal in range(50, kills + 50, 50):
        killing.kill_many(min(goal, kills))
        tally = killing.tally
        print(
            f"torture: {tally.kills} kills, {tally.acknowledged} acknowledged, {len(tally.broken)} promises broken, "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return killing.tally


def _stop(launcher: Launcher, around: Surroundings, folder: Path, times: int) -> int:
    """Each signal so many times in an enrolment and in a re-index."""
    return sum(
        stop_many(launcher, around, World(folder / f"stopped-{number}-{place}"), number, operation, times)
        for number in (signal.SIGINT, signal.SIGTERM)
        for place, operation in enumerate((enrol, reindex))
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
