"""The program with a light embedder, a second model, and a seed that is printed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.launcher import Launcher
from tests.faults.light import light_embedder, memory_folder, write_other_model
from tests.faults.operations import Surroundings
from twindex.embedder.model.registry import find_model

SEED = 5


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """This user's models: one besides the shipped one, for anybody to read. Templates are made by the stand-in."""
    with memory_folder() as folder, pytest.MonkeyPatch.context() as patch, light_embedder():
        folder.chmod(0o755)
        patch.setenv("TWINDEX_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")  # threads for a few dozen vectors cost more than they save
        write_other_model(folder)
        yield folder


@pytest.fixture(scope="package")
def launcher(home: Path) -> Iterator[Launcher]:
    with Launcher({"TWINDEX_HOME": str(home)}) as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    """For galleries and photos."""
    with memory_folder() as made:
        yield made


@pytest.fixture
def around(home: Path, folder: Path) -> Surroundings:
    models = (find_model("default").card.fingerprint, find_model("other").card.fingerprint)
    return Surroundings(random.Random(SEED), folder, models)
