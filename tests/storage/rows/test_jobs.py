"""Batch jobs: they can be resumed, and are recognised by their request."""

from pathlib import Path

import pytest

from tests.storage.builders import enrol, source_sha256
from twindex.errors import UsageError
from twindex.storage import JobState, Store


def test_a_job_comes_back_as_it_was_given(store: Store) -> None:
    job = store.jobs.create("enroll", {"paths": ["a", "b"], "crop": False})
    assert (job.kind, job.parameters, job.state, job.finished) == (
        "enroll",
        {"paths": ["a", "b"], "crop": False},
        "running",
        None,
    )
    assert store.jobs.get(job.id) == job
    assert store.jobs.list() == [job]


def test_only_an_ended_job_has_an_end_time(store: Store) -> None:
    job = store.jobs.create("reindex", {})
    store.jobs.set_state(job.id, "interrupted")
    assert store.jobs.get(job.id).finished is None
    store.jobs.set_state(job.id, "finished")
    finished = store.jobs.get(job.id).finished
    assert finished is not None
    assert finished >= job.created


@pytest.mark.parametrize(
    ("state", "found"), [("running", True), ("interrupted", True), ("finished", False), ("failed", False)]
)
def test_an_unfinished_job_is_found_by_its_request(store: Store, state: JobState, found: bool) -> None:
    job = store.jobs.create("enroll", {"paths": ["a"], "subject": None})
    store.jobs.set_state(job.id, state)
    same = store.jobs.find_unfinished("enroll", {"subject": None, "paths": ["a"]})
    assert (same is not None and same.id == job.id) is found
    assert store.jobs.find_unfinished("enroll", {"subject": None, "paths": ["b"]}) is None
    assert store.jobs.find_unfinished("reindex", {"paths": ["a"], "subject": None}) is None


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_the_request_of_an_ended_job_is_forgotten(store: Store, state: JobState) -> None:
    job = store.jobs.create("enroll", {"request": "digest", "pre_cropped": True})
    other = store.jobs.create("enroll", {"request": "another"})
    store.jobs.add_items(other.id, [("a.jpg", "ada")])
    store.jobs.set_state(job.id, state)
    assert store.jobs.get(job.id).parameters == {"pre_cropped": True}
    assert store.jobs.find_unfinished("enroll", {"request": "another"}) == other


def test_an_erasure_forgets_the_requests_of_jobs_without_pending_items(store: Store, path: Path) -> None:
    enrol(store, 1, "ada")
    done, going_on = (store.jobs.create("enroll", {"request": f"digest {number}"}) for number in range(2))
    store.jobs.add_items(done.id, [("a.jpg", "ada")])
    store.jobs.add_items(going_on.id, [("a.jpg", "ada"), ("b.jpg", "bob")])
    store.jobs.set_state(done.id, "interrupted")
    store.subjects.erase("ada")
    assert [job.parameters for job in store.jobs.list()] == [{}, {"request": "digest 1"}]
    assert b"digest 0" not in path.read_bytes()


def test_of_several_unfinished_jobs_the_latest_is_found(store: Store) -> None:
    store.jobs.create("enroll", {})
    latest = store.jobs.create("enroll", {})
    assert store.jobs.find_unfinished("enroll", {}) == latest


def test_items_are_added_once_and_done_one_by_one(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("b.jpg", "bob")])
    first, second = store.jobs.items(job.id)
    store.jobs.finish_items([(first.id, "skipped", "already_enrolled", None)])
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("a.jpg", "bob"), ("c.jpg", "ada")])
    store.jobs.add_items(job.id, [])
    items = list(store.jobs.items(job.id))
    assert [(item.path, item.subject, item.status, item.reason) for item in items] == [
        ("a.jpg", "ada", "skipped", "already_enrolled"),
        ("b.jpg", "bob", "pending", None),
        ("a.jpg", "bob", "pending", None),
        ("c.jpg", "ada", "pending", None),
    ]
    assert store.jobs.pending(job.id, 0, 2) == items[1:3]
    assert store.jobs.pending(job.id, second.id, 9) == items[2:]
    assert store.jobs.counts(job.id) == {"pending": 3, "enrolled": 0, "skipped": 1, "failed": 0}
    store.jobs.finish_items([(second.id, "enrolled", None, 12)])
    assert next(item for item in store.jobs.items(job.id) if item.id == second.id).reference == 12


def test_jobs_do_not_share_items(store: Store) -> None:
    first, second = store.jobs.create("enroll", {}), store.jobs.create("enroll", {})
    store.jobs.add_items(first.id, [("a.jpg", "ada")])
    store.jobs.add_items(second.id, [("a.jpg", "ada"), ("b.jpg", "ada")])
    assert [item.path for item in store.jobs.items(first.id)] == ["a.jpg"]
    assert store.jobs.counts(second.id)["pending"] == 2


def test_items_are_read_over_more_than_one_page(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    paths = [f"{source_sha256(number)}.jpg" for number in range(1001)]
    store.jobs.add_items(job.id, [(path, "ada") for path in paths])
    assert [item.path for item in store.jobs.items(job.id)] == paths


@pytest.mark.parametrize("name", ["caf\udce9.jpg", "\ud800.jpg", "日本.jpg", "line\nbreak.jpg"])
def test_a_path_is_returned_exactly_so_that_the_file_is_found_again(store: Store, name: str) -> None:
    job = store.jobs.create("enroll", {"paths": [name]})
    store.jobs.add_items(job.id, [(name, "ada")])
    (item,) = store.jobs.items(job.id)
    assert item.path == name
    assert store.jobs.get(job.id).parameters == {"paths": [name]}
    store.jobs.finish_items([(item.id, "failed", f"cannot read {name}", None)])


def test_unknown_jobs_and_items_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="No job 4"):
        store.jobs.get(4)
    with pytest.raises(UsageError, match="No job 4"):
        store.jobs.set_state(4, "failed")
    with pytest.raises(UsageError, match="No job 4"):
        store.jobs.add_items(4, [("a.jpg", "ada")])
    with pytest.raises(UsageError, match="No job item 4"):
        store.jobs.finish_items([(4, "failed", "no_face", None)])


def test_an_item_needs_a_name_that_can_be_enrolled(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    with pytest.raises(UsageError, match="can be read"):
        store.jobs.add_items(job.id, [("a.jpg", "ada"), ("b.jpg", " ")])
    assert list(store.jobs.items(job.id)) == []
