"""Sixty kills; `make torture` does a thousand."""

from pathlib import Path

import pytest

from tests.faults.kills import Killing
from tests.faults.launcher import Launcher
from tests.faults.operations import OPERATIONS, Surroundings

pytestmark = [pytest.mark.slow, pytest.mark.encryption]

KILLS = 60
GALLERIES = 4  # a change of the key may be long in coming, so half of them begin encrypted


def test_whatever_is_killed_nothing_acknowledged_is_lost(
    launcher: Launcher, around: Surroundings, folder: Path
) -> None:
    killing = Killing(launcher, around, folder, stop_at_once=True)
    for number in range(1, GALLERIES + 1):
        killing.kill_many(KILLS * number // GALLERIES)
        killing.begin_anew()
    tally = killing.tally
    assert tally.kills == KILLS
    assert tally.acknowledged > KILLS // 3
    assert set(tally.by_operation) == set(OPERATIONS)
    assert 0 < tally.encrypted < KILLS
    assert tally.by_point["random"] > KILLS // 3
    assert len(tally.by_point) > 6
