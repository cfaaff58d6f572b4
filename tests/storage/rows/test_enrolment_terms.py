"""Consent and expiry of references: stored, required, renewed and enforced."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.storage.builders import MODEL, OTHER_MODEL, enrol, remnants, sample, unit_vector
from twindex.storage import Enrolment, EnrolmentRequest, NewItem, Store
from twindex.storage.schema.tables import REFERENCES
from twindex.storage.values.terms import NO_TERMS, Terms

LATER = datetime(2999, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)


def under(store: Store, number: int, subject: str, terms: Terms, job_item: int | None = None) -> Enrolment:
    wanted = EnrolmentRequest(sample(number), subject, unit_vector(number), job_item, terms)
    return store.references.enroll_many([wanted], MODEL)[0]


def expire(store: Store, *references: int) -> None:
    """Move the clock forward."""
    with store._database.write() as connection:
        past = update(REFERENCES).where(REFERENCES.c.id.in_(references)).values(expires=NOW - timedelta(seconds=1))
        connection.execute(past)


def test_terms_are_kept_with_the_reference(store: Store) -> None:
    under(store, 1, "ada", Terms("form 17", LATER))
    enrol(store, 2, "ada")
    assert [reference.terms for reference in store.subjects.show("ada").references] == [
        Terms("form 17", LATER),
        NO_TERMS,
    ]


def test_enrolling_again_replaces_the_given_terms(store: Store) -> None:
    enrol(store, 1, "ada")
    assert under(store, 1, "ada", Terms(consent="form 17")) == Enrolment(1, "already_enrolled", ())
    assert under(store, 1, "ada", Terms(expires=LATER)).status == "already_enrolled"
    enrol(store, 1, "ada")
    assert store.references.get(1).terms == Terms("form 17", LATER)
    store.references.renew({1: Terms("form 18", LATER), 99: Terms("form 19")})
    assert store.references.get(1).terms == Terms("form 18", LATER)
    store.references.renew({1: Terms("form 18")})
    # A change without effect is not recorded.
    renewals = [(row.details, row.subjects) for row in store.audit.rows() if row.action == "renew"]
    assert renewals == [({"references": [1]}, (1,))] * 3


def test_only_new_faces_need_a_required_consent(store: Store) -> None:
    enrol(store, 1, "ada")
    store.require_consent(True)
    refused = enrol(store, 2, "bob")
    assert refused == Enrolment(None, "consent_required", ())
    assert [summary.subject for summary in store.subjects.list()] == ["ada"]
    assert store.references.count() == 1
    assert enrol(store, 1, "ada").status == "already_enrolled"
    assert enrol(store, 1, "ada", OTHER_MODEL).status == "enrolled"
    assert enrol(store, 1, "bob").status == "consent_required"
    assert under(store, 2, "bob", Terms(consent="form 1")).status == "enrolled"
    store.require_consent(False)
    assert enrol(store, 3, "cleo").status == "enrolled"
    assert store.check() == []


def test_the_terms_of_a_job_item_apply(store: Store) -> None:
    store.require_consent(True)
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [NewItem("a.jpg", "ada", Terms("form 1", LATER)), ("b.jpg", "bob")])
    first, second = store.jobs.items(job.id)
    assert under(store, 1, "ada", NO_TERMS, first.id).status == "enrolled"
    assert store.references.get(1).terms == Terms("form 1", LATER)
    assert under(store, 2, "bob", Terms(consent="not the item's"), second.id).status == "consent_required"
    failed = list(store.jobs.items(job.id))[1]
    assert (failed.status, failed.reference) == ("failed", None)
    assert failed.reason is not None
    assert failed.reason.startswith("consent_required: ")
    assert under(store, 2, "bob", NO_TERMS, second.id).status == "withdrawn"


def test_planning_again_gives_terms_to_references_without_terms(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    plan = [("a.jpg", "ada"), ("b.jpg", "bob"), ("c.jpg", "cleo")]
    store.jobs.add_items(job.id, plan)
    failed, enrolled, _ = store.jobs.items(job.id)
    store.jobs.finish_items([(failed.id, "failed", "no_face", None), (enrolled.id, "enrolled", None, 7)])
    form = Terms("form 1")

    def again(terms: Terms) -> list[tuple[str, Terms, int | None]]:
        store.jobs.add_items(job.id, [NewItem(name, who, terms) for name, who in plan])
        return [(item.status, item.terms, item.reference) for item in store.jobs.items(job.id)]

    none_given = [("pending", NO_TERMS, None), ("enrolled", NO_TERMS, 7), ("pending", NO_TERMS, None)]
    assert again(NO_TERMS) == none_given
    assert again(form) == [("pending", form, None), ("pending", form, 7), ("pending", form, None)]
    assert again(NO_TERMS) == [
        ("pending", NO_TERMS, None),
        ("pending", NO_TERMS, 7),
        ("pending", NO_TERMS, None),
    ]
    again(form)
    store.jobs.finish_items([(enrolled.id, "skipped", "already_enrolled", 7)])
    assert again(form)[1] == ("skipped", form, 7)
    assert again(NO_TERMS)[1] == ("skipped", form, 7)


def test_items_no_longer_requested_are_skipped_and_blanked(store: Store, path: Path) -> None:
    job, other = (store.jobs.create("enroll", {}) for _ in range(2))
    for each in (job, other):
        store.jobs.add_items(each.id, [("a.jpg", "ada"), ("b.jpg", "bob"), NewItem("c.jpg", "bob", Terms("form of B"))])
    enrolled, _, gone = store.jobs.items(job.id)
    store.jobs.finish_items([(enrolled.id, "enrolled", None, 7)])
    store.jobs.keep_only(job.id, {("b.jpg", "bob"), ("c.jpg", "ada")})
    items = [(item.path, item.status) for item in store.jobs.items(job.id)]
    assert items == [("a.jpg", "enrolled"), ("b.jpg", "pending"), ("", "skipped")]
    assert store.jobs.counts(other.id)["pending"] == 3
    assert under(store, 1, "bob", NO_TERMS, gone.id).status == "withdrawn"


def test_erasing_blanks_the_terms_of_job_items(store: Store, path: Path) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [NewItem("a.jpg", "ada", Terms("form of Augusta", LATER))])
    (item,) = store.jobs.items(job.id)
    under(store, 1, "ada", NO_TERMS, item.id)
    store.subjects.erase("ada")
    assert [item.terms for item in store.jobs.items(job.id)] == [NO_TERMS]
    assert b"Augusta" not in path.read_bytes()


def test_an_expired_reference_is_in_no_answer(store: Store) -> None:
    for number, name in [(1, "ada"), (2, "ada"), (3, "bob")]:
        under(store, number, name, Terms(expires=LATER))
    enrol(store, 4, "cleo")
    expire(store, 1, 3)
    assert store.references.owners([1, 2, 3, 4]) == {2: "ada", 4: "cleo"}
    # Even if a search reaches the subject through its expired reference.
    assert store.references.families([1]) == {2: "ada"}
    assert store.references.families([3]) == {}
    store.references.renew({3: Terms(expires=LATER)})
    assert store.references.owners([3]) == store.references.families([3]) == {3: "bob"}


def test_a_purge_erases_expired_references_and_subjects_left_without_any(store: Store, path: Path) -> None:
    for number, name in [(1, "ada"), (2, "ada"), (3, "bob"), (4, "cleo")]:
        under(store, number, name, Terms(expires=LATER))
    expire(store, 1, 3)
    assert [(expired.reference, expired.subject) for expired in store.subjects.expired(NOW)] == [(1, "ada"), (3, "bob")]
    erasure = store.subjects.erase_expired(NOW, 100)
    assert erasure is not None
    assert (erasure.subjects, erasure.references, erasure.samples) == (("bob",), (1, 3), 2)
    assert [(summary.subject, summary.references) for summary in store.subjects.list()] == [("ada", 1), ("cleo", 1)]
    assert remnants(path.parent, unit_vector(1).tobytes()) == []
    assert remnants(path.parent, unit_vector(2).tobytes()) == [path.name]
    row = store.audit.get(erasure.record)
    assert (row.action, row.subjects) == ("purge", (1, 2))
    assert row.details == {"references": [1, 3], "subjects": 1, "templates": 2, "samples": 2, "crops": 2}
    assert store.subjects.erase_expired(NOW, 100) is None
    assert [change.reference for change in store.changes.since(4)] == [1, 3]
    assert store.check() == []


def test_a_purge_respects_its_limit(store: Store) -> None:
    for number in range(5):
        under(store, number, f"subject {number}", Terms(expires=LATER))
    expire(store, 1, 2, 3, 4)
    rounds = []
    while (erasure := store.subjects.erase_expired(NOW, 3)) is not None:
        rounds.append(erasure.references)
    assert rounds == [(1, 2, 3), (4,)]
    assert store.references.owners([1, 2, 3, 4, 5]) == {5: "subject 4"}


def test_a_purge_blanks_settled_items_and_leaves_pending_ones(store: Store) -> None:
    job = store.jobs.create("enroll", {})
    store.jobs.add_items(job.id, [("a.jpg", "ada"), ("b.jpg", "ada"), ("c.jpg", "ada")])
    first, second, _ = store.jobs.items(job.id)
    under(store, 1, "ada", NO_TERMS, first.id)
    store.jobs.finish_items([(second.id, "failed", "no_face: b.jpg", None)])
    expire(store, 1)
    store.subjects.erase_expired(NOW, 10)
    assert [(item.path, item.subject, item.status) for item in store.jobs.items(job.id)] == [
        ("", "", "enrolled"),
        ("", "", "failed"),
        ("c.jpg", "ada", "pending"),
    ]


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(microseconds=1)])
def test_expiry_is_exact(store: Store, offset: timedelta) -> None:
    under(store, 1, "ada", Terms(expires=LATER))
    assert len(store.subjects.expired(LATER - offset)) == (0 if offset else 1)
