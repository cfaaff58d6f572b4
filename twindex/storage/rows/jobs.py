"""Batch jobs and their items."""

from collections.abc import Iterator, Sequence, Set
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import Connection, Row, Select, and_, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from twindex.errors import UsageError
from twindex.storage.rows.erasure import blank_pending, forget_requests
from twindex.storage.schema.tables import JOB_ITEMS, JOBS
from twindex.storage.sqlite.database import Database, canonical_json
from twindex.storage.sqlite.pages import advanced
from twindex.storage.values.names import readable_text, subject_name
from twindex.storage.values.records import ItemStatus, Job, JobItem, JobState, NewItem
from twindex.storage.values.terms import Terms

_PAGE = 1000


class Jobs:
    """The batch jobs of a gallery; every method is one transaction.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: str, parameters: dict[str, Any]) -> Job:
        """A new job in state `running`.

        Args:
            kind: What it does.
            parameters: The request, JSON values only; `find_unfinished` compares it.
        """
        values = {"kind": kind, "parameters": parameters, "state": "running", "created": datetime.now(UTC)}
        with self._database.write() as connection:
            job_id = connection.execute(insert(JOBS).values(values).returning(JOBS.c.id)).scalar_one()
            return _get(connection, job_id)

    def get(self, job_id: int) -> Job:
        """One job.

        Raises:
            UsageError: If no job has this id.
        """
        with self._database.read() as connection:
            return _get(connection, job_id)

    def set_state(self, job_id: int, state: JobState) -> None:
        """Set a job's state. `finished` and `failed` also record the time and erase the job's request.

        Raises:
            UsageError: If no job has this id.
        """
        ended = datetime.now(UTC) if state in ("finished", "failed") else None
        with self._database.write() as connection:
            _get(connection, job_id)
            connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(state=state, finished=ended))
            if ended is not None:
                forget_requests(connection)

    def find_unfinished(self, kind: str, parameters: dict[str, Any]) -> Job | None:
        """The latest job with the same request that has neither finished nor failed, or None."""
        wanted = canonical_json(parameters)
        unfinished = _JOBS.where(JOBS.c.kind == kind, JOBS.c.state.in_(("running", "interrupted")))
        with self._database.read() as connection:
            jobs = [_job(row) for row in connection.execute(unfinished)]
        same = [job for job in jobs if canonical_json(job.parameters) == wanted]
        return same[-1] if same else None

    def add_items(self, job_id: int, items: Sequence[NewItem | tuple[str, str]]) -> None:
        """Add pending items.

        If the job already has such an item and it is pending or failed, it becomes pending under the given terms. If it
        is enrolled or skipped, it becomes pending only if other terms are given, so that its reference gets them.

        Args:
            job_id: The job.
            items: Path, subject and terms of each item.

        Raises:
            UsageError: If the job does not exist, or a subject's name cannot be stored.
        """
        rows = [
            {
                "job_id": job_id,
                "path": item.path,
                "subject": subject_name(item.subject),
                "status": "pending",
                "consent": item.terms.consent,
                "expires": item.terms.expires,
            }
            for item in (NewItem(*item) for item in items)
        ]
        added = sqlite_insert(JOB_ITEMS)
        given = {"consent": added.excluded.consent, "expires": added.excluded.expires}
        others = or_(*(JOB_ITEMS.c[name].is_distinct_from(value) for name, value in given.items()))
        again = added.on_conflict_do_update(
            index_elements=["job_id", "path", "subject"],
            set_={**given, "status": "pending", "reason": None},
            where=or_(
                JOB_ITEMS.c.status == "pending",
                JOB_ITEMS.c.status == "failed",
                and_(or_(*(value.is_not(None) for value in given.values())), others),
            ),
        )
        with self._database.write() as connection:
            _get(connection, job_id)
            if rows:
                connection.execute(again, rows)

    def keep_only(self, job_id: int, named: Set[tuple[str, str]]) -> None:
        """Skip and blank pending items that are no longer part of the request.

        Args:
            job_id: The job.
            named: Path and subject of each photo in the request.
        """
        after, gone = 0, list[int]()
        while page := self.pending(job_id, after, _PAGE):
            gone += [item.id for item in page if (item.path, item.subject) not in named]
            after = page[-1].id
        if gone:
            with self._database.write() as connection:
                blank_pending(connection, gone)

    def pending(self, job_id: int, after: int, limit: int) -> list[JobItem]:
        """The first `limit` pending items with an id above `after`."""
        return self._page(_ITEMS.where(JOB_ITEMS.c.job_id == job_id, JOB_ITEMS.c.status == "pending"), after, limit)

    def items(self, job_id: int) -> Iterator[JobItem]:
        """All items of a job in order, read page by page, each page in its own short transaction."""
        return self._in_pages(_ITEMS.where(JOB_ITEMS.c.job_id == job_id))

    def settled(self, job_id: int) -> Iterator[JobItem]:
        """The items of a job that are no longer pending, read like `items`."""
        return self._in_pages(_ITEMS.where(JOB_ITEMS.c.job_id == job_id, JOB_ITEMS.c.status != "pending"))

    def finish_items(self, outcomes: Sequence[tuple[int, ItemStatus, str | None, int | None]]) -> None:
        """Record the outcome of items: id, status, reason and reference of each. An erased item stays blank.

        Raises:
            UsageError: If no item has such an id; then nothing is changed.
        """
        if not outcomes:
            return
        with self._database.write() as connection:
            for item, status, reason, reference in outcomes:
                text = None if reason is None else readable_text(reason)
                if connection.scalar(select(JOB_ITEMS.c.id).where(JOB_ITEMS.c.id == item)) is None:
                    raise UsageError(f"No job item {item}; take the id from the job's list of items.")
                settled = update(JOB_ITEMS).where(JOB_ITEMS.c.id == item, JOB_ITEMS.c.subject.is_not(None))
                connection.execute(settled.values(status=status, reason=text, reference=reference))

    def counts(self, job_id: int) -> dict[str, int]:
        """How many items of a job have each status; every status is listed, if only with 0."""
        statement = (
            select(JOB_ITEMS.c.status, func.count()).where(JOB_ITEMS.c.job_id == job_id).group_by(JOB_ITEMS.c.status)
        )
        counts: dict[str, int] = dict.fromkeys(get_args(ItemStatus), 0)
        with self._database.read() as connection:
            counts.update((status, count) for status, count in connection.execute(statement))
        return counts

    def _in_pages(self, statement: Select[*tuple[object, ...]]) -> Iterator[JobItem]:
        after = 0
        while page := self._page(statement, after, _PAGE):
            yield from page
            after = page[-1].id

    def _page(self, statement: Select[*tuple[object, ...]], after: int, limit: int) -> list[JobItem]:
        with self._database.read() as connection:
            rows = connection.execute(statement.where(JOB_ITEMS.c.id > after).limit(limit))
            found = [_item(row) for row in rows]
        if found:
            advanced(after, found[-1].id)
        return found

    # Last in the class: after it, the name `list` means this method and not the built-in type.
    def list(self) -> list[Job]:
        """All jobs, oldest first."""
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(_JOBS)]


_JOBS: Select[*tuple[object, ...]] = select(
    JOBS.c.id, JOBS.c.kind, JOBS.c.parameters, JOBS.c.state, JOBS.c.created, JOBS.c.finished
).order_by(JOBS.c.id)
_ITEMS: Select[*tuple[object, ...]] = select(
    JOB_ITEMS.c.id,
    JOB_ITEMS.c.job_id,
    JOB_ITEMS.c.path,
    JOB_ITEMS.c.subject,
    JOB_ITEMS.c.status,
    JOB_ITEMS.c.reason,
    JOB_ITEMS.c.reference,
    JOB_ITEMS.c.consent,
    JOB_ITEMS.c.expires,
).order_by(JOB_ITEMS.c.id)


def _get(connection: Connection, job_id: int) -> Job:
    row = connection.execute(_JOBS.where(JOBS.c.id == job_id)).first()
    if row is None:
        raise UsageError(f"No job {job_id}; see `twindex jobs list`.")
    return _job(row)


def _job(row: Row[*tuple[object, ...]]) -> Job:
    return Job(row.id, row.kind, row.parameters, row.state, row.created, row.finished)


def _item(row: Row[*tuple[object, ...]]) -> JobItem:
    terms = Terms(row.consent, row.expires)
    return JobItem(row.id, row.job_id, row.path or "", row.subject or "", row.status, row.reason, row.reference, terms)
