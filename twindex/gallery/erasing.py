"""Verify an erasure in the gallery's files, and write its receipt.

When `Subjects.erase` returns, the rows are gone and the audit lists the erasure as unverified. `verify` then removes
the snapshots, which may hold the vectors, searches every file of the gallery for the erased bytes, and records in the
audit what it found. `finish` completes an erasure that was pending or cut short: the bytes are no longer known, so it
judges by what the files are; see docs/decisions/0012-erasure.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from twindex.errors import UsageError
from twindex.gallery.file_roles import Place, files_below, foreign_among, may_be_foreign, place_of
from twindex.storage import AuditRow, Erasure, Store

PURGED_AT_ONCE = 1_000  # references whose bytes are held in memory for one search


@dataclass(frozen=True)
class Receipt:
    """What an erasure did; it identifies nobody.

    Attributes:
        erasure: Its row in the audit.
        time: When it was verified or found to be pending, UTC.
        references: The erased ids.
        samples: How many captured faces were erased; a face that another subject shares stays.
        templates: How many vectors were erased, of every model.
        files: How many files were searched.
        bytes: Their total size.
        result: "erased" if no file holds the bytes, else "pending".
        verified_by: "scan" if every file was searched for the erased bytes; "structure" if these were no longer known.
        found_in: Kinds of files that still hold erased bytes, may hold them, or could not be read.
        files_left: Those files, below the gallery's folder. The audit does not keep them, because a file name may
            identify somebody.
    """

    erasure: int
    time: datetime
    references: tuple[int, ...]
    samples: int
    templates: int
    files: int
    bytes: int
    result: Literal["erased", "pending"]
    verified_by: Literal["scan", "structure"]
    found_in: tuple[Place, ...]
    files_left: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        value = {**self.__dict__, "time": self.time.isoformat(timespec="seconds")}
        return {name: list(part) if isinstance(part, tuple) else part for name, part in value.items()}


def verify(store: Store, folder: Path, snapshots: Path, erasure: Erasure) -> Receipt:
    """Remove the snapshots, search every file for what was erased, and record the outcome.

    If the database itself still holds erased bytes, it is rewritten and searched again.

    Args:
        store: Open for writing.
        folder: The gallery's.
        snapshots: The folder of its snapshots. Every file there is removed, unless a generation lists it since the
            erasure: such a snapshot was made without the erased vectors.
        erasure: What the store has erased.
    """
    store.generations.remove_unlisted(snapshots)
    pending = erasure.pending
    found = store.search_files(folder, erasure.remains)
    if not pending and "database" in _places(folder, found.holding):
        pending = not _rewrite(store)
        found = store.search_files(folder, erasure.remains)
    places = _places(folder, found.holding)
    if pending:
        places.add("journal")
    if found.unreadable:
        places.add("unreadable")
    left = tuple(str(path.relative_to(folder)) for path in (*found.holding, *found.unreadable))
    return _recorded(store, store.audit.get(erasure.record), _Search("scan", places, left, found.files, found.bytes))


def finish(store: Store, folder: Path, snapshots: Path, row: AuditRow) -> Receipt:
    """Complete an erasure that was pending or cut short, and record the outcome.

    The erased bytes are no longer known, so nothing can be searched. Instead, unlisted snapshots are removed, the
    database is rewritten and its journal emptied, and the folder must not hold foreign files. An earlier search that
    found nothing in the database or in foreign files makes that step unnecessary.

    Args:
        store: Open for writing.
        folder: The gallery's.
        snapshots: The folder of its snapshots.
        row: The erasure's row in the audit.
    """
    searched = store.audit.places(row.id)
    # SQLite zeroes deleted rows, but not stale copies left behind when a page was rebalanced.
    before = {"database"} if searched is None else searched
    store.generations.remove_unlisted(snapshots)
    places: set[Place] = set()
    if before & {"database", "unreadable"} and not _rewrite(store):
        places.add("database")
    if not store.finish_erasure():
        places.add("journal")
    files = files_below(folder)
    foreign = foreign_among(folder, files) if may_be_foreign(searched) else []
    if foreign:
        places.add("other")
    left = tuple(str(path.relative_to(folder)) for path in foreign)
    return _recorded(store, row, _Search("structure", places, left, len(files), sum(map(_length, files))))


@dataclass(frozen=True)
class _Search:
    """How an erasure was verified and what was found; see `Receipt`."""

    verified_by: Literal["scan", "structure"]
    places: set[Place]
    left: tuple[str, ...]
    files: int
    bytes: int


def _recorded(store: Store, row: AuditRow, search: _Search) -> Receipt:
    """Write the receipt into the audit."""
    receipt = Receipt(
        erasure=row.id,
        time=datetime.now(UTC),
        references=tuple(row.details["references"]),
        samples=row.details["samples"],
        templates=row.details["templates"],
        files=search.files,
        bytes=search.bytes,
        result="pending" if search.places else "erased",
        verified_by=search.verified_by,
        found_in=tuple(sorted(search.places)),
        files_left=search.left,
    )
    # The references are in the erasure's own row.
    details = {name: value for name, value in receipt.to_json().items() if name not in ("references", "files_left")}
    store.audit.add("verify", details, row.subjects)
    return receipt


def _rewrite(store: Store) -> bool:
    """Rewrite the database and empty its journal; False if another process is in the way."""
    try:
        store.rewrite()
    except UsageError:
        return False
    return store.finish_erasure()


def _length(path: Path) -> int:
    """A file's size in bytes; 0 if another process has just removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _places(folder: Path, files: tuple[Path, ...]) -> set[Place]:
    return {place_of(folder, path) for path in files}
