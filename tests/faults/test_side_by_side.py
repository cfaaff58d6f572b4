"""Several processes with one gallery: two that enrol at once, and readers while a re-index flips it."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from tests.faults.launcher import Launcher
from tests.faults.light import DIM, kept_crop, template, write_photos
from tests.faults.operations import Surroundings, enrol
from tests.faults.program import MEET
from tests.faults.world import World, check, opened
from twindex.gallery import ProbeAnswer
from twindex.jobs.enroll import BATCH
from twindex.types import Sample

pytestmark = [pytest.mark.slow, pytest.mark.encryption]

ADDITIONS = 100


def test_two_writers_lose_nothing(launcher: Launcher, home: Path, around: Surroundings, folder: Path) -> None:
    assert two_writers(launcher, home, around, folder, ADDITIONS) == 2 * ADDITIONS


def two_writers(launcher: Launcher, home: Path, around: Surroundings, folder: Path, additions: int) -> int:
    """Two processes that enrol so many photos each into one gallery; how many are there and are found.

    They come to each commit together. Left alone, one is often done before the other begins, which says nothing.
    """
    world = World(folder / "gallery")
    first = enrol(world, around)
    assert launcher.run("--gallery", world.gallery, *first.arguments).status == 0
    world.settle(first.comes, (), ())
    before, comes, meeting = len(world.held), set(), folder / "meeting"
    meeting.mkdir()
    with Launcher({"TWINDEX_HOME": str(home)}) as second:
        running = []
        for place, starter in enumerate((launcher, second)):
            faces = {(f"subject {around.random.randrange(8)}", around.number()) for _ in range(additions)}
            write_photos(folder / f"writer-{place}", iter(faces))
            comes |= faces
            plan = ("enroll", folder / f"writer-{place}", "--pre-cropped")
            environment = {MEET: str(meeting)}
            running.append(starter.start("--gallery", world.gallery, *plan, environment=environment))
        outcomes = [one.wait() for one in running]
    assert [one.status for one in outcomes] == [0, 0], outcomes
    acknowledged = [
        ((one["subject"], int(Path(one["path"]).stem)), one["reference"])
        for outcome in outcomes
        for one in outcome.acknowledged
    ]
    turns = _turns([[one["reference"] for one in outcome.acknowledged] for outcome in outcomes])
    assert turns > additions // BATCH
    world.settle(comes, (), acknowledged)
    check(world)
    return len(world.held) - before


def _turns(references: list[list[int]]) -> int:
    """How many stretches, each of one writer, the references fall into, which are given in the order of the commits."""
    writers = [writer for _, writer in sorted((one, place) for place, own in enumerate(references) for one in own)]
    return len(list(groupby(writers)))


def test_readers_during_a_flip_see_the_old_or_the_new_generation(
    launcher: Launcher, home: Path, around: Surroundings, folder: Path
) -> None:
    world = World(folder / "gallery")
    plan = enrol(world, around)
    assert launcher.run("--gallery", world.gallery, *plan.arguments).status == 0
    world.settle(plan.comes, (), ())
    faces = sorted(world.held)[:4]
    samples = [Sample("0" * 64, "probe.png", 0, None, 50.0, kept_crop(number)) for _, number in faces]
    expected = {model: _distances(world, faces, model) for model in around.models}
    seen: list[str] = []
    with opened(world) as reader:
        for model in (around.models[1], around.models[0], around.models[1]):
            running = launcher.start("--gallery", world.gallery, "reindex", "--model", model)
            while not seen or reader.active().fingerprint != model:
                seen.append(_assert_of_one_model(reader.answer("probe", samples, top=3), expected))
            seen.append(_assert_of_one_model(reader.answer("probe", samples, top=3), expected))
            assert seen[-1] == model
            assert running.wait().status == 0
    flips = [one for one, before in zip(seen[1:], seen[:-1], strict=True) if one != before]
    # Never back within one re-index: each model comes once for each flip to it.
    assert flips == [around.models[1], around.models[0], around.models[1]]


def _assert_of_one_model(answer: ProbeAnswer, expected: dict[str, dict[tuple[int, str], float]]) -> str:
    """Every distance of every face is that of the model which the answer names."""
    assert answer.error is None
    for place, face in enumerate(answer.faces):
        for candidate in face.candidates:
            wanted = expected[answer.model][place, candidate.subject]
            assert candidate.distance == pytest.approx(wanted, abs=1e-6)
    return answer.model


def _distances(world: World, faces: list[tuple[str, int]], model: str) -> dict[tuple[int, str], float]:
    """The distance of each probe to each subject: to its own photo, else to the direction of its templates' mean."""
    found = {}
    for place, (_, number) in enumerate(faces):
        probe = template(number, model).astype(np.float64)
        for subject in world.subjects:
            vectors = np.array([template(one, model) for _, one in world.of(subject)], np.float64).reshape(-1, DIM)
            alone = np.linalg.norm(vectors - probe, axis=1).min()
            mean = vectors.mean(axis=0)
            fused = np.linalg.norm(mean / np.linalg.norm(mean) - probe)
            found[place, subject] = float(alone if alone < 1e-3 or len(vectors) == 1 else fused)
    return found
