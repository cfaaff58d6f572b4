"""After an erasure: what is left of it in the gallery's files, and the receipt that says so.

The rows are gone when `Subjects.erase` returns, and the audit has the erasure as unverified. Here the snapshots, which
may hold the vectors, are removed, every file of the gallery is searched for the erased bytes, and a row of the audit
says what was found. An erasure that was pending, or cut short, is finished by `finish`, which no longer knows the
bytes and judges by what the files are; see docs/decisions/0012-erasure.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from twindex.errors import UsageError
from twindex.gallery.file_roles import Place, files_below, foreign_among, may_be_foreign, place_of
from twindex.storage import AuditRow, Erasure, Store

PURGED_AT_ONCE = 1_000  # references whose bytes are kept in memory, to be looked for together


@dataclass(frozen=True)
class Receipt:
    """What an erasure did; it names and shows nobody.

    Attributes:
        erasure: Its row in the audit.
        time: When it was verified, or found to be pending, UTC.
        references: Ids that are gone.
        samples: Captured faces that went with them; a face that another subject shares stays.
        templates: Vectors that are gone, of every model.
        files: That were searched.
        bytes: That they had together.
        result: "erased" if no file holds the bytes, else "pending".
        verified_by: "scan" of every file for the erased bytes, or, where these are no longer known, "structure".
        found_in: Kinds of files that hold erased bytes still, may do so, or could not be read.
        files_left: Those files below the gallery's folder; a name may tell something, so the audit does not keep them.
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

    Where the database itself still holds something, it is written anew and searched again.

    Args:
        store: Open for writing.
        folder: The gallery's.
        snapshots: Where its snapshots are; every file there is removed, but for one listed since: it was made without
            what is erased.
        erasure: What the store has erased.
    """
    store.generations.remove_unlisted(snapshots)
    pending = erasure.pending
    found = store.search_files(folder, erasure.remains)
    if not pending and "database" in _places(folder, found.holding):
        pending = not _rewritten(store)
        found = store.search_files(folder, erasure.remains)
    places = _places(folder, found.holding)
    if pending:
        places.add("journal")
    if found.unreadable:
        places.add("unreadable")
    left = tuple(str(path.relative_to(folder)) for path in (*found.holding, *found.unreadable))
    return _recorded(store, store.audit.get(erasure.record), places, left, found.files, found.bytes, "scan")


def finish(store: Store, folder: Path, snapshots: Path, row: AuditRow) -> Receipt:
    """Complete an erasure that was pending or cut short, and record the outcome.

    The erased bytes are not known any more, so nothing is searched: snapshots that no generation lists are removed, the
    database is written anew and its journal emptied, and the folder must hold no file that is not the gallery's; but
    for what a search found nothing in.

    Args:
        store: Open for writing.
        folder: The gallery's.
        snapshots: Where its snapshots are.
        row: The erasure's in the audit.
    """
    searched = store.audit.places(row.id)
    # SQLite overwrites what is deleted, but not the copies of rows that it once left where it moved them from.
    before = {"database"} if searched is None else searched
    store.generations.remove_unlisted(snapshots)
    places: set[Place] = set()
    if before & {"database", "unreadable"} and not _rewritten(store):
        places.add("database")
    if not store.finish_erasure():
        places.add("journal")
    files = files_below(folder)
    foreign = foreign_among(folder, files) if may_be_foreign(searched) else []
    if foreign:
        places.add("other")
    left = tuple(str(path.relative_to(folder)) for path in foreign)
    return _recorded(store, row, places, left, len(files), sum(map(_length, files)), "structure")


def _recorded(
    store: Store,
    row: AuditRow,
    places: set[Place],
    left: tuple[str, ...],
    files: int,
    length: int,
    verified_by: Literal["scan", "structure"],
) -> Receipt:
    receipt = Receipt(
        erasure=row.id,
        time=datetime.now(UTC),
        references=tuple(row.details["references"]),
        samples=row.details["samples"],
        templates=row.details["templates"],
        files=files,
        bytes=length,
        result="pending" if places else "erased",
        verified_by=verified_by,
        found_in=tuple(sorted(places)),
        files_left=left,
    )
    # The erasure's own row has the references.
    told = {name: value for name, value in receipt.to_json().items() if name not in ("references", "files_left")}
    store.audit.add("verify", told, row.subjects)
    return receipt


def _rewritten(store: Store) -> bool:
    """Write the database anew and empty its journal; False while another process is in the way."""
    try:
        store.rewrite()
    except UsageError:
        return False
    return store.finish_erasure()


def _length(path: Path) -> int:
    """Bytes of a file; none of one that another process has just removed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _places(folder: Path, files: tuple[Path, ...]) -> set[Place]:
    return {place_of(folder, path) for path in files}
