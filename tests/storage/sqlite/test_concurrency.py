"""Several writers at once, and a writer killed in the middle."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.storage.builders import MODEL, acknowledged, enrol, unit_vector
from twindex.errors import TwindexError
from twindex.storage import Store

REPOSITORY = Path(__file__).parents[3]


def start(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    """A process that has opened the gallery and enrols as soon as it reads a line."""
    arguments = [sys.executable, "-m", "tests.storage.sqlite.enrolling_process", str(path), str(first), str(count)]
    process = subprocess.Popen(arguments, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def assert_holds(store: Store, kept: dict[int, int]) -> None:
    """Every acknowledged face is there, under its subject and with the same bytes."""
    owners = store.references.owners(list(kept.values()))
    for number, reference in kept.items():
        assert owners[reference] == f"subject {number}"
        assert store.references.vectors(MODEL, [reference])[1].tobytes() == unit_vector(number).tobytes()
    assert store.check() == []


def test_two_threads_lose_nothing(store: Store) -> None:
    def work(first: int) -> dict[int, int]:
        return {number: enrol(store, number, f"subject {number}").reference for number in range(first, first + 40)}

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(work, [0, 100])
    assert store.references.count() == 80
    assert sorted([*first.values(), *second.values()]) == list(range(1, 81))
    assert_holds(store, first | second)
    assert [change.reference for change in store.changes.since(0)] == list(range(1, 81))


def test_two_threads_that_enrol_the_same_face_make_one_reference(store: Store) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: enrol(store, 1, "ada"), range(12)))
    assert [enrolment.reference for enrolment in done] == [1] * 12
    assert sorted(enrolment.status for enrolment in done) == ["already_enrolled"] * 11 + ["enrolled"]


def test_two_processes_lose_nothing(path: Path) -> None:
    Store.create(path).close()
    processes = [start(path, first, 40) for first in (0, 100)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    kept: dict[int, int] = {}
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        kept.update(acknowledged(output.splitlines()))
    assert sorted(kept.values()) == list(range(1, 81))
    with Store.open(path) as store:
        assert_holds(store, kept)


@pytest.mark.parametrize("acknowledgements", [1, 4, 9])
def test_a_killed_process_keeps_what_it_acknowledged(path: Path, acknowledgements: int) -> None:
    Store.create(path).close()
    process = start(path, 0, 100_000)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    lines = [process.stdout.readline() for _ in range(acknowledgements)]
    process.kill()
    # Lines still in the pipe were acknowledged too; the last line may be incomplete.
    lines += [line for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdin.close()
    process.stdout.close()
    kept = acknowledged(lines)
    assert len(kept) >= acknowledgements
    with Store.open(path) as store:
        assert_holds(store, kept)
        # At most one more enrolment was committed but not yet acknowledged.
        assert store.references.count() - len(kept) in (0, 1)
        assert enrol(store, 0, "subject 0").status == "already_enrolled"


def test_other_writers_do_not_change_one_state(path: Path, wal: None) -> None:
    with Store.create(path) as store, Store.open(path) as other:
        enrol(store, 1, "ada")
        with store.one_state():
            assert (store.references.count(), store.changes.revision()) == (1, 1)
            enrol(other, 2, "bob")
            with store.one_state():
                assert (store.references.count(), store.changes.revision()) == (1, 1)
            assert store.references.owners([1, 2]) == {1: "ada"}
        assert store.references.owners([1, 2]) == {1: "ada", 2: "bob"}


def test_a_thread_does_not_see_anothers_one_state(path: Path, wal: None) -> None:
    with Store.create(path) as store, ThreadPoolExecutor(1) as threads, store.one_state():
        assert store.references.count() == 0
        threads.submit(enrol, store, 1, "ada").result()
        assert threads.submit(store.references.count).result() == 1
        assert store.references.count() == 0


def test_writing_inside_one_state_is_refused(store: Store) -> None:
    with (
        store.one_state(),
        pytest.raises(TwindexError, match="inside a `one_state` block of the same thread; leave the block first"),
    ):
        enrol(store, 1, "ada")
    assert enrol(store, 1, "ada").status == "enrolled"
