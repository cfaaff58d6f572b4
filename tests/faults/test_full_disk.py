"""A disk that is full at any write, a limit on file sizes, a folder that can only be read."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.deaths import FAIL_AT, FAILING
from tests.faults.launcher import Launcher, Outcome
from tests.faults.light import photo_bytes, write_photos
from tests.faults.operations import OPERATIONS, Plan, Surroundings, enrol
from tests.faults.world import World, check, copied

pytestmark = [pytest.mark.slow, pytest.mark.encryption]

NOBODY = 65_534
FULL = ("disk is full", "No space left on device", "File too large", "file size limits")


@pytest.fixture
def world(launcher: Launcher, around: Surroundings, folder: Path) -> World:
    """A gallery with a snapshot."""
    made = World(folder / "gallery")
    plan = enrol(made, around)
    for arguments in (plan.arguments, ("compact",)):
        assert launcher.run("--gallery", made.gallery, *arguments).status == 0
    made.settle(plan.comes, (), ())
    return made


@pytest.mark.parametrize("name", ["enrol", "compact", "another model", "erase"])
def test_a_full_disk_is_one_clear_line_and_loses_nothing(
    launcher: Launcher, around: Surroundings, world: World, folder: Path, name: str
) -> None:
    plan = OPERATIONS[name](world, around)
    counted = copied(world, folder / "counted")
    passed = launcher.run("--gallery", counted.gallery, *plan.arguments, count=True).passed
    places = [(point, 1 + around.random.randrange(passed[point])) for point in FAILING if passed.get(point)]
    assert places, passed
    for point, passage in places:
        full = copied(world, folder / f"full-{point}")
        run = launcher.run("--gallery", full.gallery, *plan.arguments, environment={FAIL_AT: f"{point}:{passage}"})
        assert run.status == 2, run
        _assert_told(run)
        _assert_intact(full, plan, run)
        assert launcher.run("--gallery", full.gallery, *plan.arguments).status == 0
        _assert_intact(full, plan, run)


def test_a_file_size_limit_stops_an_enrolment_and_keeps_what_was_acknowledged(
    launcher: Launcher, around: Surroundings, world: World
) -> None:
    limit = (world.gallery / "gallery.sqlite").stat().st_size + 700_000
    faces = frozenset((f"subject {number % 3}", around.number()) for number in range(48))
    write_photos(around.folder / "many", iter(faces))
    plan = Plan(("enroll", around.folder / "many", "--pre-cropped"), comes=faces)
    run = launcher.run("--gallery", world.gallery, *plan.arguments, file_size=limit)
    assert run.status == 2
    assert 0 < len(run.acknowledged) < 48
    _assert_told(run)
    _assert_intact(world, plan, run)
    assert launcher.run("--gallery", world.gallery, *plan.arguments).status == 0
    world.settle(faces, (), ())
    assert faces <= set(world.held)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "twindex-test", str(mounted)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only somebody who may mount a file system can have a small one")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(
    launcher: Launcher, around: Surroundings, small_disk: Path
) -> None:
    world = World(small_disk / "gallery")
    faces = frozenset((f"subject {number % 3}", around.number()) for number in range(64))
    write_photos(around.folder / "many", iter(faces))
    plan = Plan(("enroll", around.folder / "many", "--pre-cropped"), comes=faces)
    run = launcher.run("--gallery", world.gallery, *plan.arguments)
    assert run.status == 2
    assert 0 < len(run.acknowledged) < 64
    _assert_told(run)
    _assert_intact(world, plan, run)
    query = launcher.run("--gallery", world.gallery, "--json", "query", "--pre-cropped", _photo(around, world))
    assert query.status == 0, query


def test_a_folder_that_can_only_be_read_is_searched_and_not_written(
    launcher: Launcher, around: Surroundings, world: World
) -> None:
    if os.getuid() == 0:
        # Root may write anywhere, so the program is somebody else, whose gallery this is.
        user: int | None = NOBODY
        for path in (world.gallery, *world.gallery.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    else:
        user = None
    around.folder.chmod(0o755)
    before = {path: path.read_bytes() for path in sorted(world.gallery.rglob("*")) if path.is_file()}
    photo = _photo(around, world)
    for path in (*world.gallery.rglob("*"), world.gallery):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        subject = world.subjects[0]
        query = launcher.run("--gallery", world.gallery, "--json", "query", "--pre-cropped", photo, user=user)
        assert query.status == 0, query
        assert query.json["faces"][0]["candidates"][0]["distance"] == 0
        for arguments in (
            ("enroll", photo, "--subject", "new", "--pre-cropped"),
            ("compact",),
            ("reindex", "--index", "hnsw"),
            ("subjects", "erase", subject, "--yes"),
        ):
            refused = launcher.run("--gallery", world.gallery, *arguments, user=user)
            assert refused.status == 2, refused
            assert "Traceback" not in refused.err
            assert "make the file and its folder writable" in refused.err or "Permission denied" in refused.err
    finally:
        for path in (world.gallery, *world.gallery.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o600)
    assert {path: path.read_bytes() for path in sorted(world.gallery.rglob("*")) if path.is_file()} == before


def _photo(around: Surroundings, world: World) -> Path:
    """A photo of somebody enrolled, readable by all."""
    number = random.Random(0).choice(sorted(number for _, number in world.held))
    photo = around.folder / f"{number}.png"
    photo.write_bytes(photo_bytes(number))
    photo.chmod(0o644)
    return photo


def _assert_told(run: Outcome) -> None:
    assert "Traceback" not in run.err
    assert any(words in run.err for words in FULL), run.err
    assert len([line for line in run.err.splitlines() if line.startswith("twindex: ")]) == 1, run.err


def _assert_intact(world: World, plan: Plan, run: Outcome) -> None:
    told = [((one["subject"], int(Path(one["path"]).stem)), one["reference"]) for one in run.acknowledged]
    world.settle(plan.comes, plan.goes, told)
    check(world)
