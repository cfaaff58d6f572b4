"""A hundred damaged snapshots and a hundred damaged databases; `make torture` does five hundred and more."""

import random
from pathlib import Path

import pytest

from tests.faults.conftest import SEED
from tests.faults.mutations import SNAPSHOT_DAMAGE, Originals, damage_databases, damage_snapshots

pytestmark = [pytest.mark.slow, pytest.mark.encryption]


@pytest.fixture(scope="module", params=[True, False], ids=["crops", "no crops"])
def originals(home: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Originals:
    return Originals(tmp_path_factory.mktemp("originals"), keep_crops=request.param)


def test_every_damaged_snapshot_is_refused_and_changes_no_answer(originals: Originals) -> None:
    damaged = damage_snapshots(originals, random.Random(SEED), 50)
    assert damaged.done.total() == 50
    assert set(damaged.done) == set(SNAPSHOT_DAMAGE)
    assert damaged.refused == damaged.done


def test_a_damaged_database_is_reported_or_holds_what_it_held(originals: Originals) -> None:
    damaged = damage_databases(originals, random.Random(SEED), 50)
    assert damaged.refused["emptied"] == damaged.done["emptied"]
    assert damaged.refused["truncated"] == damaged.done["truncated"]
    assert damaged.refused.total() > 30
