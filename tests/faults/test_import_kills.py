"""An import killed at any point: no gallery, or all of it; and the same command again ends well."""

from pathlib import Path

import pytest

from tests.faults.deaths import KILL_AT
from tests.faults.kills import KILLED
from tests.faults.launcher import Launcher
from tests.faults.operations import Surroundings, enrol
from tests.faults.world import World, check
from twindex.config import DATABASE

pytestmark = [pytest.mark.slow, pytest.mark.encryption]


def test_an_import_killed_anywhere_leaves_nothing_or_the_whole_gallery(
    launcher: Launcher, around: Surroundings, folder: Path
) -> None:
    source, archive = World(folder / "source"), folder / "backup.zip"
    plan = enrol(source, around)
    for arguments in (plan.arguments, ("compact",), ("export", archive)):
        assert launcher.run("--gallery", source.gallery, *arguments).status == 0
    source.settle(plan.comes, (), ())
    passed = launcher.run("--gallery", folder / "counted", "import", archive, count=True).passed
    places = sorted({(point, passage) for point, times in passed.items() for passage in _some(around, times)})
    assert len({point for point, _ in places}) > 5
    left = []
    for point, passage in places:
        target = folder / f"{point}-{passage}"
        killed = launcher.run("--gallery", target, "import", archive, environment={KILL_AT: f"{point}:{passage}"})
        assert killed.status == KILLED
        left.append((target / DATABASE).exists())
        if not left[-1]:
            assert launcher.run("--gallery", target, "import", archive).status == 0
        check(World(target, dict(source.held), source.highest))
    assert {True, False} == set(left)


def _some(around: Surroundings, times: int) -> set[int]:
    """The first passage, the last, and one of those between."""
    return {1, times, around.random.randint(1, times)}
