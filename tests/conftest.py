"""What the tests of several packages need. Nothing here touches the user's own folders."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from tests.needs import UNMET, skip_reason
from twindex.embedder.model.bundle import Bundle, write_bundle
from twindex.embedder.model.card import Card, DefaultThreshold
from twindex.embedder.model.inception import array_shapes

# TensorFlow prints its start-up notes before any Python filter can see them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# FAISS's threads wait for each other in a loop, which costs small indexes more than the threads gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Temporary files are in memory, because a commit waits for the disk several times; TMPDIR names another folder.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # pytest has asked for it already

# No test asserts a time: the machine may be busy. The same code passes or fails alike; `make torture` draws anew.
settings.register_profile("twindex", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("torture", settings.get_profile("twindex"), derandomize=False, print_blob=True)
settings.load_profile("twindex")

Arrays = Mapping[str, NDArray[np.float32]]
DIM = 16
TRAINING = Path(__file__).parent / "embedder" / "training"
WITHOUT_KERAS = (TRAINING / "recipe", TRAINING / "data")  # what of training needs no network


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what cannot be imported without the extra that trains; and, with the slow tests, what imports it."""
    if TRAINING in (collection_path, *collection_path.parents) and "train" in UNMET:
        return True
    return True if _trains(collection_path) and config.option.markexpr == "not slow" else None


def _trains(path: Path) -> bool:
    """Whether tests import Keras, which takes several seconds in each process."""
    rooms = (path, *path.parents)
    return TRAINING in path.parents and path.suffix == ".py" and not any(room in rooms for room in WITHOUT_KERAS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of training, and skip the tests whose needs are not met."""
    for item in items:
        if TRAINING in item.path.parents:
            item.add_marker("train")
        if _trains(item.path):
            item.add_marker("slow")
        for mark in UNMET:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=skip_reason(mark)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and how to run it: one line for each need."""
    skipped = " ".join(str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    for mark, remedy in UNMET.items():
        if skip_reason(mark) in skipped:
            terminalreporter.write_line(f"Left out: tests marked {mark}. To run them, {remedy}.")


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder for the compiled networks of a run, which the run's processes share."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINDEX_CACHE", str(run / "cache"))
        yield


@pytest.fixture(scope="session")
def random_arrays() -> Arrays:
    """A branch's arrays that keep signals at a steady scale (He et al. 2015) and do not normalise trivially."""
    random = np.random.default_rng(5)
    arrays = {}
    for name, shape in array_shapes(DIM).items():
        if name.endswith("variance"):
            values = random.uniform(0.5, 1.5, shape)
        elif name.endswith("kernel"):
            values = random.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[:-1]))
        else:
            values = random.normal(0, 0.2, shape)
        arrays[name] = values.astype(np.float32)
        arrays[name].flags.writeable = False
    return arrays


@pytest.fixture(scope="session")
def make_card() -> Callable[..., Card]:
    """A valid card; the values given replace its own."""

    def make(**changed: object) -> Card:
        values = {
            "name": "tiny",
            "input_shape": (75, 75, 3),
            "dim": DIM,
            "mirror": False,
            "alignment": "arcface-112",
            "head_weight": -6.0,
            "head_bias": 6.5,
            "thresholds": (DefaultThreshold(1, 0.5), DefaultThreshold(100, 0.7), DefaultThreshold(10_000, 0.8)),
            "verify_threshold": 0.6,
            "training": {"data": "random numbers"},
            "accuracy": {"lfw": 0.5},
            "versions": {"numpy": "2.0"},
            "terms": "None.",
            "weights_sha256": "",
        }
        return Card(**{**values, **changed})

    return make


@pytest.fixture(scope="session")
def random_bundle(
    random_arrays: Arrays, make_card: Callable[..., Card], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle of random weights; not to be changed."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny", random_arrays, make_card(mirror=True))
