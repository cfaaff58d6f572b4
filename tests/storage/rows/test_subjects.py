"""Listing, renaming, merging and erasing subjects."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.storage.builders import (
    MODEL,
    OTHER_MODEL,
    crop_bytes,
    enrol,
    remnants,
    request,
    sample,
    unit_vector,
)
from twindex.errors import UsageError
from twindex.storage import Change, EnrolmentRequest, NewItem, Store
from twindex.storage.values.terms import Terms

SOON = datetime.now(UTC) + timedelta(days=1)
LATER = SOON + timedelta(days=1)


def names(store: Store) -> dict[str, int]:
    return {entry.subject: entry.references for entry in store.subjects.list()}


def test_subjects_are_listed_by_name(store: Store) -> None:
    for number, name in enumerate(["cleo", "ada", "bob", "ada"]):
        enrol(store, number, name)
    assert [(entry.subject, entry.references) for entry in store.subjects.list()] == [
        ("ada", 2),
        ("bob", 1),
        ("cleo", 1),
    ]
    assert store.subjects.count() == 3


def test_show_returns_everything(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    enrol(store, 3, "ada")
    store.subjects.annotate("ada", {"team": "engines", "badge": "12"})
    detail = store.subjects.show("ada")
    assert detail.subject == "ada"
    assert detail.metadata == {"team": "engines", "badge": "12"}
    assert [record.reference for record in detail.references] == [1, 3]
    assert detail.created == store.subjects.list()[0].created
    assert store.subjects.show("bob").metadata == {}


def test_annotating_sets_and_removes_entries(store: Store) -> None:
    enrol(store, 1, "ada")
    assert store.subjects.annotate("ada", {"team": "engines", "badge": "12"}) == {"team": "engines", "badge": "12"}
    assert store.subjects.annotate("ada", {"badge": None, "desk": "\udcff"}) == {"team": "engines", "desk": "\\xff"}
    assert store.subjects.show("ada").metadata == {"team": "engines", "desk": "\\xff"}
    with pytest.raises(UsageError, match="No subject named 'bob'"):
        store.subjects.annotate("bob", {"team": "engines"})


def test_merging_keeps_the_metadata_of_both(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    store.subjects.annotate("ada", {"team": "engines", "desk": "4"})
    store.subjects.annotate("bob", {"team": "looms"})
    store.subjects.merge("ada", "bob")
    assert store.subjects.show("bob").metadata == {"team": "looms", "desk": "4"}


def test_an_unknown_name_is_answered_with_the_nearest(store: Store) -> None:
    enrol(store, 1, "Ada Lovelace")
    with pytest.raises(UsageError, match="No subject named 'Ada Lovelac', nearest names: 'Ada Lovelace'"):
        store.subjects.show("Ada Lovelac")
    with pytest.raises(UsageError, match="No subject named 'zzz', see `twindex subjects list`"):
        store.subjects.erase("zzz")


def test_rename(store: Store) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    store.subjects.rename("ada", "Ada Lovelace")
    assert names(store) == {"Ada Lovelace": 1, "bob": 1}
    assert store.references.owners([1]) == {1: "Ada Lovelace"}
    store.subjects.rename("bob", "bob")
    with pytest.raises(UsageError, match=r"'bob' is taken.*subjects merge"):
        store.subjects.rename("Ada Lovelace", "bob")
    with pytest.raises(UsageError, match="No subject named 'ada'"):
        store.subjects.rename("ada", "eve")
    with pytest.raises(UsageError, match="can be read"):
        store.subjects.rename("bob", " ")


def test_merge_moves_references_and_erases_doubles(store: Store) -> None:
    store.references.enroll_many([request(1, "ada"), request(1, "a. lovelace"), request(2, "a. lovelace")], MODEL)
    assert store.subjects.merge("a. lovelace", "ada") == 1
    assert names(store) == {"ada": 2}
    assert store.references.owners([1, 2, 3]) == {1: "ada", 3: "ada"}
    assert store.changes.since(3) == [Change(4, "erased", 2)]
    np.testing.assert_array_equal(
        store.references.vectors(MODEL, [1, 2, 3])[1], np.stack([unit_vector(1), unit_vector(2)])
    )
    assert store.references.crop(1) == crop_bytes(1)
    assert store.check() == []


def test_merge_keeps_the_template_that_only_the_double_has(store: Store) -> None:
    enrol(store, 1, "ada", OTHER_MODEL)
    enrol(store, 1, "a. lovelace", MODEL)
    assert store.subjects.merge("a. lovelace", "ada") == 0
    references, vectors = store.references.vectors(MODEL, [1, 2])
    assert references.tolist() == [1]
    np.testing.assert_array_equal(vectors[0], unit_vector(1))
    assert store.changes.since(2) == [Change(3, "enrolled", 1), Change(4, "erased", 2)]


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        (Terms("form 1", SOON), Terms(), Terms("form 1", SOON)),
        (Terms("form 1", LATER), Terms("form 2", SOON), Terms("form 2", SOON)),
        (Terms(expires=SOON), Terms("form 2", LATER), Terms("form 2", SOON)),
        (Terms(), Terms("form 2", LATER), Terms("form 2", LATER)),
    ],
)
def test_merge_keeps_the_stricter_terms_of_doubles(store: Store, source: Terms, target: Terms, kept: Terms) -> None:
    for name, terms in (("a. lovelace", source), ("ada", target)):
        store.references.enroll_many([replace(request(1, name), terms=terms)], MODEL)
    store.subjects.merge("a. lovelace", "ada")
    assert store.references.get(2).terms == kept


def test_merge_refuses_the_same_name_twice(store: Store) -> None:
    enrol(store, 1, "ada")
    with pytest.raises(UsageError, match="Cannot merge 'ada' with itself"):
        store.subjects.merge("ada", "ada")
    with pytest.raises(UsageError, match="No subject named 'bob'"):
        store.subjects.merge("ada", "bob")
    assert names(store) == {"ada": 1}


def test_erase_reports_what_was_erased_and_keeps_shared_faces(store: Store) -> None:
    store.references.enroll_many([request(1, "ada"), request(2, "ada"), request(1, "bob")], MODEL)
    erasure = store.subjects.erase("ada")
    assert (erasure.subjects, erasure.references, erasure.samples, erasure.pending) == (("ada",), (1, 2), 1, False)
    assert names(store) == {"bob": 1}
    assert store.references.crop(3) == crop_bytes(1)
    assert store.references.vectors(MODEL, [1, 2, 3])[0].tolist() == [3]
    assert store.changes.since(3) == [Change(4, "erased", 1), Change(5, "erased", 2)]
    assert store.check() == []


@pytest.mark.parametrize("how", ["erase", "expire"])
def test_a_shared_photo_does_not_keep_the_erased_subjects_path(store: Store, how: str) -> None:
    """The photo was in the erased person's folder when it was first enrolled."""
    past = Terms(expires=datetime(2001, 1, 1, tzinfo=UTC))
    job = store.jobs.create("enroll", {})
    items = [
        ("ada/1.jpg", "ada"),
        ("bob/\udcff.jpg", "bob"),
        ("ada/2.jpg", "ada"),
        ("cy/3.jpg", "cy"),
        ("ada/3.jpg", "ada"),
    ]
    store.jobs.add_items(job.id, [NewItem(path, name) for path, name in items])
    for item, number in zip(store.jobs.items(job.id), (1, 1, 2, 3, 3), strict=True):
        wanted = EnrolmentRequest(sample(number, source_name=item.path), item.subject, unit_vector(number), item.id)
        store.references.enroll_many([wanted], MODEL)
    enrol(store, 2, "dee")  # by no job
    if how == "erase":
        store.subjects.erase("ada")
    else:
        store.references.renew(dict.fromkeys((1, 3, 5), past))
        assert store.subjects.erase_expired(datetime.now(UTC), 10) is not None
    held = {(record := store.references.get(number)).subject: record.source_name for number in (2, 4, 6)}
    assert held == {"bob": r"bob/\xff.jpg", "cy": "cy/3.jpg", "dee": ""}


def test_a_merge_leaves_no_path_that_an_erasure_would_not_reach(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [(f"{name}/1.jpg", name) for name in ("ada", "cy", "bob")])
    for item in store.jobs.items(job.id):
        wanted = EnrolmentRequest(sample(1, source_name=item.path), item.subject, unit_vector(1), item.id)
        store.references.enroll_many([wanted], MODEL)
    store.subjects.merge("ada", "bob")
    store.subjects.erase("bob")
    assert store.references.get(2).source_name == "cy/1.jpg"


def test_ids_are_never_used_again(store: Store, path: Path) -> None:
    enrol(store, 1, "ada")
    enrol(store, 2, "bob")
    store.subjects.erase("bob")
    assert enrol(store, 2, "bob").reference == 3
    store.subjects.erase("ada")
    store.subjects.erase("bob")
    store.close()
    with Store.open(path) as again:
        assert enrol(again, 1, "ada").reference == 4
        assert again.changes.revision() == 7


def test_erase_blanks_what_jobs_say(store: Store, path: Path) -> None:
    job = store.jobs.create("enroll", {})
    paths = ["secret-1.jpg", "secret-2.jpg", "secret-3.jpg"]
    store.jobs.add_items(job.id, [*((name, "Augusta King") for name in paths), ("bob.jpg", "bob")])
    first, second, third, _ = store.jobs.items(job.id)
    store.references.enroll(
        sample(1, source_name="secret-1.jpg"), "Augusta King", MODEL, unit_vector(1), job_item=first.id
    )
    store.jobs.finish_items([(second.id, "failed", "no_face in secret-2.jpg", None)])
    store.subjects.erase("Augusta King")
    items = list(store.jobs.items(job.id))
    assert [(item.path, item.subject, item.status, item.reason) for item in items] == [
        ("", "", "enrolled", None),
        ("", "", "failed", None),
        ("", "", "skipped", None),
        ("bob.jpg", "bob", "pending", None),
    ]
    assert third.id not in [item.id for item in store.jobs.pending(job.id, 0, 10)]
    content = path.read_bytes()
    assert b"Augusta King" not in content
    assert b"secret-" not in content


def test_a_blanked_item_stays_blank_when_its_photo_fails_afterwards(store: Store, path: Path) -> None:
    enrol(store, 1, "ada")
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("secret.jpg", "ada")])
    (item,) = store.jobs.items(job.id)
    store.subjects.erase("ada")
    store.jobs.finish_items([(item.id, "failed", "no_face in secret.jpg", None)])
    (blank,) = store.jobs.items(job.id)
    assert (blank.path, blank.subject, blank.status, blank.reason) == ("", "", "skipped", None)
    assert b"secret" not in path.read_bytes()


def test_erase_finds_the_items_of_a_subject_that_was_renamed_and_merged(store: Store, path: Path) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("x-1.jpg", "countess"), ("x-2.jpg", "augusta"), ("x-2.jpg", "countess")])
    first = next(store.jobs.items(job.id))
    store.references.enroll(sample(1), "countess", MODEL, unit_vector(1), job_item=first.id)
    enrol(store, 2, "augusta")
    store.subjects.rename("countess", "lady")
    assert [item.subject for item in store.jobs.items(job.id)] == ["lady", "augusta", "lady"]
    store.subjects.merge("augusta", "lady")
    assert [(item.path, item.subject) for item in store.jobs.items(job.id)] == [
        ("x-1.jpg", "lady"),
        ("", ""),
        ("x-2.jpg", "lady"),
    ]
    store.subjects.erase("lady")
    content = path.read_bytes()
    assert [name for name in (b"countess", b"augusta", b"lady", b"x-1.jpg", b"x-2.jpg") if name in content] == []


def test_erased_bytes_are_in_no_file(store: Store, path: Path) -> None:
    store.references.enroll_many([request(1, "ada", crop_length=5000), request(2, "bob")], MODEL)
    vector, crop = unit_vector(1).tobytes(), crop_bytes(1, 5000)
    assert remnants(path.parent, vector) == [path.name]
    assert remnants(path.parent, crop) == [path.name]
    assert store.subjects.erase("ada").pending is False
    assert remnants(path.parent, vector) == []
    assert remnants(path.parent, crop) == []
    assert remnants(path.parent, crop_bytes(2)) == [path.name]


def test_erased_bytes_are_in_no_file_after_many_changes(store: Store, path: Path) -> None:
    """No copies of rows are left where pages of the tree were rebalanced."""
    generator = np.random.default_rng(5)
    lengths = {number: int(generator.integers(40, 5000)) for number in range(120)}
    for start in range(0, 120, 30):
        store.references.enroll_many(
            [
                request(number, f"subject {number}", dim=128, crop_length=lengths[number])
                for number in range(start, start + 30)
            ],
            MODEL,
        )
        for number in generator.permutation(np.arange(start, start + 30))[:12]:
            store.subjects.erase(f"subject {number}")
    present = {int(entry.subject.removeprefix("subject ")) for entry in store.subjects.list()}
    data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    secrets = {n: unit_vector(n, 128).tobytes() + crop_bytes(n, lengths[n]) for n in lengths}
    # Steps of 16 find every remnant of 47 bytes or more.
    found = {
        number
        for number, secret in secrets.items()
        if any(secret[offset : offset + 32] in data for offset in range(0, len(secret) - 31, 16))
    }
    assert found == present
    assert len(present) == 72
