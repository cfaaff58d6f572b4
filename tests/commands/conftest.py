"""The command line as a user has it: real photos of people who do not exist, the shipped model, a real gallery."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twindex.demo
from twindex.cli import main
from twindex.embedder.inference import runtime
from twindex.embedder.model.bundle import write_bundle
from twindex.embedder.model.registry import find_model

PEOPLE = Path(twindex.demo.__file__).parent / "people"


@dataclass(frozen=True)
class Result:
    """What one call of the program printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the program in this process; anything but a clean exit fails the test."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="package", autouse=True)
def _networks_load_once() -> Iterator[None]:
    """Keep every loaded network for the next command: loading takes longer than most commands do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "_kept", _remembering(runtime._kept))
        yield


def _remembering(load: Callable[..., runtime.Network]) -> Callable[..., runtime.Network]:
    loaded: dict[tuple[str, ...], runtime.Network] = {}

    def load_once(build: object, key: str, settings: dict[str, str], cache: Path) -> runtime.Network:
        identity = (key, str(cache), *settings.values())
        if identity not in loaded:
            loaded[identity] = load(build, key, settings, cache)
        return loaded[identity]

    return load_once


@pytest.fixture(scope="session")
def people() -> Path:
    return PEOPLE


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of the demo's people; copy it before changing it."""
    folder = tmp_path_factory.mktemp("enrolled") / "gallery"
    with pytest.raises(SystemExit) as ended:
        main(["--gallery", str(folder), "enroll", str(PEOPLE / "enrolled")])
    assert not ended.value.code
    return folder


@pytest.fixture
def gallery(enrolled: Path, tmp_path: Path) -> Path:
    """A gallery of the demo's people that a test may change."""
    return Path(shutil.copytree(enrolled, tmp_path / "gallery"))


@pytest.fixture(scope="session")
def rotated_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model that answers alike: the shipped one with its templates rotated, so that all distances are kept."""
    bundle = find_model("default")
    arrays = dict(bundle.arrays())
    dim = bundle.card.dim
    rotation, _ = np.linalg.qr(np.random.default_rng(8).normal(size=(dim, dim)))
    for name in ("projection/kernel", "projection/bias"):
        arrays[name] = (arrays[name].astype(np.float64) @ rotation).astype(np.float32)
    path = tmp_path_factory.mktemp("models") / "rotated"
    write_bundle(path, arrays, bundle.card)
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINDEX_HOME", str(tmp_path_factory.mktemp("home")))
        yield
