"""Generations: the searchable indexes of a gallery and their snapshots."""

import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from twindex.errors import UsageError
from twindex.storage.rows.audit import record
from twindex.storage.rows.changes import erased_since
from twindex.storage.rows.templates import every_reference_has
from twindex.storage.schema.tables import GENERATIONS
from twindex.storage.sqlite.database import Database
from twindex.storage.values.records import Generation, GenerationSpec, GenerationState, Recall, Snapshot
from twindex.storage.values.template_format import checked_fingerprint

# Plain SQL, because every search runs it: see `templates.py`.
_ACTIVE_ID = "SELECT id FROM generations WHERE state = 'active'"


class Generations:
    """The generations of a gallery; every method is one transaction.

    Args:
        database: The gallery's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, fingerprint: str, index_spec: str) -> Generation:
        """A new generation in state `building`.

        Args:
            fingerprint: The model whose templates it holds.
            index_spec: What kind of index it is.
        """
        with self._database.write() as connection:
            return _get(connection, insert_generation(connection, GenerationSpec(fingerprint, index_spec)))

    def get(self, number: int) -> Generation:
        """One generation.

        Raises:
            UsageError: If no generation has this id.
        """
        with self._database.read() as connection:
            return _get(connection, number)

    def active(self) -> Generation | None:
        """The generation that answers queries, or None if the gallery has none yet."""
        found = self._in_state("active")
        return found[0] if found else None

    def active_id(self) -> int | None:
        """The id of the generation that answers queries, or None."""
        with self._database.read() as connection:
            number: int | None = connection.exec_driver_sql(_ACTIVE_ID).scalar()
            return number

    def activate(self, number: int) -> bool:
        """Let this generation answer queries and retire the previous one, in one step.

        Returns:
            False if a reference has no template of the generation's model; then nothing has changed.

        Raises:
            UsageError: If no generation has this id.
        """
        with self._database.write() as connection:
            generation = _get(connection, number)
            if generation.state == "active":
                return True
            if not every_reference_has(connection, generation.fingerprint):
                return False
            activate_generation(connection, number)
            action = "rollback" if generation.state == "retired" else "reindex"
            details = {"generation": number, "model": generation.fingerprint, "index": generation.index_spec}
            record(connection, action, details)
            return True

    def delete(self, number: int) -> None:
        """Delete a generation.

        Raises:
            UsageError: If no generation has this id, or it is the active one.
        """
        with self._database.write() as connection:
            if _get(connection, number).state == "active":
                raise UsageError(f"Generation {number} answers the queries; activate another before deleting it.")
            connection.execute(delete(GENERATIONS).where(GENERATIONS.c.id == number))
            record(connection, "prune", {"generation": number})

    def record_snapshot(self, number: int, snapshot: Snapshot, folder: Path) -> bool:
        """Record which file in a folder holds this generation's index.

        Returns:
            False if something was erased since the snapshot's revision, so that the file may hold erased templates, or
            if the file was removed meanwhile. Then nothing has changed, and the caller must remove the file.

        Raises:
            UsageError: If no generation has this id.
        """
        with self._database.write() as connection:
            _get(connection, number)
            if erased_since(connection, snapshot.revision):
                return False
            if not (folder / snapshot.file).exists():
                return False
            _set_snapshot(connection, number, snapshot)
        return True

    def remove_unlisted(self, folder: Path) -> None:
        """Remove every file in a folder that no generation lists; no other process can list one meanwhile.

        Raises:
            OSError: A file cannot be removed.
        """
        with self._database.write() as connection:
            listed = {known.snapshot.file for known in _all(connection) if known.snapshot is not None}
            for path in folder.glob("*"):
                if path.name in listed:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def forget_snapshot(self, number: int) -> None:
        """Record that no file holds this generation's index.

        Raises:
            UsageError: If no generation has this id.
        """
        with self._database.write() as connection:
            _get(connection, number)
            _set_snapshot(connection, number, None)

    def building(self) -> list[Generation]:
        """The generations that are not finished, oldest first."""
        return self._in_state("building")

    def _in_state(self, state: GenerationState) -> list[Generation]:
        with self._database.read() as connection:
            return [_generation(row) for row in connection.execute(_SELECT.where(GENERATIONS.c.state == state))]

    # Last in the class: after it, the name `list` means this method and not the built-in type.
    def list(self) -> list[Generation]:
        """All generations, oldest first."""
        with self._database.read() as connection:
            return _all(connection)


_SELECT: Select[*tuple[object, ...]] = select(
    GENERATIONS.c.id,
    GENERATIONS.c.fingerprint,
    GENERATIONS.c.index_spec,
    GENERATIONS.c.state,
    GENERATIONS.c.created,
    GENERATIONS.c.activated,
    GENERATIONS.c.snapshot,
).order_by(GENERATIONS.c.id)


def _all(connection: Connection) -> list[Generation]:
    return [_generation(row) for row in connection.execute(_SELECT)]


def insert_generation(connection: Connection, spec: GenerationSpec) -> int:
    """Add a generation in state `building`, in the caller's write transaction; returns its id."""
    values = {
        "fingerprint": checked_fingerprint(spec.fingerprint),
        "index_spec": spec.index_spec,
        "state": "building",
        "created": datetime.now(UTC),
    }
    return connection.execute(insert(GENERATIONS).values(values).returning(GENERATIONS.c.id)).scalar_one()


def activate_generation(connection: Connection, number: int) -> None:
    """Let a generation answer queries and retire the previous one, in the caller's write transaction."""
    connection.execute(update(GENERATIONS).where(GENERATIONS.c.state == "active").values(state="retired"))
    activated = update(GENERATIONS).where(GENERATIONS.c.id == number)
    connection.execute(activated.values(state="active", activated=datetime.now(UTC)))


def forget_all_snapshots(connection: Connection) -> None:
    """Record that no generation has a snapshot file, in the caller's write transaction."""
    connection.execute(update(GENERATIONS).values(snapshot=None))


def _set_snapshot(connection: Connection, number: int, snapshot: Snapshot | None) -> None:
    stored = None if snapshot is None else asdict(snapshot)
    connection.execute(update(GENERATIONS).where(GENERATIONS.c.id == number).values(snapshot=stored))


def _get(connection: Connection, number: int) -> Generation:
    row = connection.execute(_SELECT.where(GENERATIONS.c.id == number)).first()
    if row is None:
        raise UsageError(f"No generation {number}; `twindex doctor` lists the existing ones.")
    return _generation(row)


def _generation(row: Row[*tuple[object, ...]]) -> Generation:
    return Generation(
        id=row.id,
        fingerprint=row.fingerprint,
        index_spec=row.index_spec,
        state=row.state,
        created=row.created,
        activated=row.activated,
        snapshot=None if row.snapshot is None else _snapshot(row.snapshot),
    )


def _snapshot(stored: dict[str, Any]) -> Snapshot:
    recall = stored.get("recall")
    return Snapshot(**{**stored, "recall": None if recall is None else Recall(**recall)})
