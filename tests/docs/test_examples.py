"""The examples and the README's Python lines, run on the demo's people."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.people import PEOPLE

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
ADA, BEN = PEOPLE / "probes" / "ada", PEOPLE / "probes" / "ben"


def output(*command: object, folder: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gallery is, with some people enrolled by the first example."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("ada", "ben"):
        shutil.copytree(PEOPLE / "enrolled" / name, folder / "people" / name)
    return folder


def test_identify(folder: Path) -> None:
    lines = output(REPOSITORY / "examples" / "identify.py", "people", PEOPLE / "group.jpg", folder=folder)
    assert lines[0] == "6 photos enrolled, 0 known before, 0 failed"
    assert sorted(line.split(": ")[1].split(" (")[0] for line in lines[1:]) == ["ada", "unknown", "unknown", "unknown"]


def test_door_desk(folder: Path) -> None:
    output(REPOSITORY / "examples" / "identify.py", "people", ADA / "4.jpg", folder=folder)
    (folder / "door").mkdir()
    shutil.copy(BEN / "4.jpg", folder / "door" / "1.jpg")
    shutil.copy(next((PEOPLE / "strangers").rglob("*.jpg")), folder / "door" / "2.jpg")
    (folder / "door" / "3.jpg").write_bytes(b"")
    lines = output(REPOSITORY / "examples" / "door_desk.py", "example-gallery", "door", "--rounds", 2, folder=folder)
    assert lines == ["1.jpg: ben", "2.jpg: unknown", "3.jpg: no face (unreadable)"]


def test_duplicates(folder: Path) -> None:
    photos = [ADA / "4.jpg", ADA / "5.jpg", BEN / "4.jpg"]
    (line,) = output(REPOSITORY / "examples" / "duplicates.py", *photos, folder=folder)
    assert line.split()[1:] == [str(ADA / "4.jpg"), str(ADA / "5.jpg")]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_pages_lines_run_as_written(page: str, tmp_path: Path) -> None:
    shutil.copytree(PEOPLE / "enrolled", tmp_path / "people")
    for name in ("me.jpg", "passport.jpg", "selfie.jpg", "visitor.jpg"):
        shutil.copy(ADA / "4.jpg", tmp_path / name)
    shutil.copy(PEOPLE / "group.jpg", tmp_path / "party.jpg")
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL)
    lines = output("-c", code, folder=tmp_path)
    if page == "README.md":
        assert lines[0] == "36 0"
        assert lines[-1].startswith("True 0.0 ")
