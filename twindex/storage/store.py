"""The gallery's database: the only source of truth; indexes are copies of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, select, update

from twindex.encryption.keys import GalleryKey, environment_key, matching_keys
from twindex.encryption.sealing import FileSealer
from twindex.errors import IntegrityError, UsageError
from twindex.storage.checks.consistency import (
    Inconsistency,
    erase_orphans,
    inconsistencies,
    log_enrolments,
    raise_counters,
)
from twindex.storage.checks.inspection import inspect
from twindex.storage.checks.summary import Summary, read_summary
from twindex.storage.creation import create_database
from twindex.storage.rekeying import remove_leftovers
from twindex.storage.rows.audit import Audit, record
from twindex.storage.rows.changes import Changes
from twindex.storage.rows.generations import Generations, forget_all_snapshots
from twindex.storage.rows.jobs import Jobs
from twindex.storage.rows.references import References
from twindex.storage.rows.subjects import Subjects
from twindex.storage.schema.expected import schema_differences
from twindex.storage.schema.migrations import MIGRATIONS, migrate, schema_version
from twindex.storage.schema.tables import GALLERY, METADATA
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.journal import may_write, read_header, refuse_stranger
from twindex.storage.subject_export import export_subject
from twindex.storage.values.records import Damage, GalleryRecord, GenerationSpec, StoredThreshold

if TYPE_CHECKING:
    from twindex.storage.checks.file_search import FileSearch

_GALLERY = select(
    GALLERY.c.gallery_id, GALLERY.c.keep_crops, GALLERY.c.created, GALLERY.c.threshold, GALLERY.c.consent_required
)


class Store:
    """An open gallery database, safe to use from several threads. Use `create` or `open` to get one.

    Attributes:
        references: References and templates.
        subjects: The enrolled people.
        changes: The log that an index replays.
        generations: The searchable indexes.
        jobs: Batch jobs.
        audit: Who did what.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.references = References(database)
        self.subjects = Subjects(database)
        self.changes = Changes(database)
        self.generations = Generations(database)
        self.jobs = Jobs(database)
        self.audit = Audit(database)

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        keep_crops: bool = True,
        generation: GenerationSpec | None = None,
        key: GalleryKey | None = None,
    ) -> Self:
        """Make a new gallery database and open it.

        Args:
            path: The file to make.
            keep_crops: Whether crops are kept, so that another model can re-embed them.
            generation: The first generation, active from the start; None makes a gallery that answers no query yet.
            key: The key to encrypt with; by default the one in the environment. Without a key nothing is encrypted.

        Raises:
            UsageError: If the file exists already, or the folder cannot be written.
            EncryptionKeyError: If the environment names a key that cannot be used.
            ValueError: If the generation's fingerprint is not ASCII.
        """
        key = key or environment_key()
        create_database(path, keep_crops=keep_crops, generation=generation, key=key)
        return cls.open(path, key=key)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, key: GalleryKey | None = None) -> Self:
        """Open a gallery database, and bring an older schema up to date.

        A read-only store changes no content. An older schema is still brought up to date if the file is writable, so
        that a newer Twindex can answer at once.

        Args:
            path: The database.
            read_only: Open it so that it cannot be changed.
            key: The key it is encrypted with; by default the one in the environment.

        Raises:
            UsageError: If the file does not exist, or has an older schema and cannot be written.
            EncryptionKeyError: If the key is missing, wrong, or given for a gallery that is not encrypted.
            IntegrityError: If the file is empty, damaged, not a gallery, or has a newer schema.
        """
        header = read_header(path)
        keys = matching_keys(path, header.encryption, key or environment_key())
        database = Database(path, read_only=read_only, keys=keys)
        try:
            if not read_only:
                remove_leftovers(path)
            with database.read() as connection:
                older = schema_version(connection) < len(MIGRATIONS)
            if older and read_only:
                _refuse_unwritable(path)
                cls.open(path, key=key).close()
            _bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @staticmethod
    def foreign_definitions(path: Path) -> list[str]:
        """How a foreign database's schema differs from Twindex's; nothing in the database is run or changed.

        Raises:
            UsageError: If the file does not exist.
            EncryptionKeyError: If the key in the environment is missing, wrong, or not needed.
            IntegrityError: If the file is empty, damaged or not a gallery.
        """
        keys = matching_keys(path, read_header(path).encryption, environment_key())
        database = Database(path, read_only=True, keys=keys)
        try:
            return schema_differences(database)
        finally:
            database.close()

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def one_state(self) -> AbstractContextManager[None]:
        """Read one consistent state inside the block, whatever others write. Keep the block short."""
        return self._database.one_state()

    @property
    def sealer(self) -> FileSealer | None:
        """Encrypts the files beside the database; None for a gallery that is not encrypted."""
        keys = self._database.keys
        return None if keys is None else FileSealer(keys.files)

    def gallery(self) -> GalleryRecord:
        """The gallery's own record: its id, settings and threshold."""
        with self._database.read() as connection:
            row = connection.execute(_GALLERY).one()
        threshold = None if row.threshold is None else StoredThreshold(**row.threshold)
        return GalleryRecord(row.gallery_id, row.keep_crops, row.created, threshold, row.consent_required)

    def set_threshold(self, threshold: StoredThreshold | None) -> None:
        """Set the gallery's operating point, or remove it."""
        stored = None if threshold is None else asdict(threshold)
        with self._database.write() as connection:
            connection.execute(update(GALLERY).values(threshold=stored))
            recorded = ("probability", "target_fpir", "gallery_size", "fingerprint", "method")
            record(connection, "calibrate", {name: None if stored is None else stored[name] for name in recorded})

    def require_consent(self, required: bool) -> None:
        """Set whether a new face needs a consent to be enrolled; faces enrolled before are unaffected."""
        with self._database.write() as connection:
            connection.execute(update(GALLERY).values(consent_required=required))
            record(connection, "settings", {"consent_required": required})

    def search_files(self, folder: Path, values: Sequence[bytes]) -> "FileSearch":
        """Look for erased values in every file below a folder; see `file_search.py`."""
        from twindex.storage.checks.file_search import search_files  # imports NumPy, which most commands do not need

        return search_files(self._database, folder, values)

    def rewrite(self) -> None:
        """Rewrite the whole database file without its unused parts; see `Database.rewrite`."""
        self._database.rewrite()

    def export_subject(self, name: str, path: Path) -> int:
        """Write everything held about a subject to a new archive; see `subject_export.py`.

        Returns:
            How many references the subject has.
        """
        return export_subject(self._database, name, path)

    def finish_erasure(self) -> bool:
        """Remove erased bytes that a pending erasure left in the write-ahead log.

        Returns:
            True if no erased bytes are left; False while a reader still needs the log.
        """
        return self._database.truncate_journal()

    def copy_to(self, path: Path) -> None:
        """Copy one state of the database into an empty file, while others may write.

        Raises:
            TwindexError: The copy cannot be written, or this database cannot be read.
        """
        self._database.copy_to(path)

    def summary(self) -> Summary:
        """The database in numbers."""
        return read_summary(self._database)

    def forget_snapshots(self) -> None:
        """Record that no generation has a snapshot file, as after a move to another place."""
        with self._database.write() as connection:
            forget_all_snapshots(connection)

    def inconsistencies(self) -> list[Inconsistency]:
        """Where the tables contradict each other; an empty list if they do not."""
        return inconsistencies(self._database)

    def erase_orphans(self) -> int:
        """Remove captured faces without a reference, which no erasure would reach; returns how many there were."""
        return erase_orphans(self._database)

    def log_enrolments(self) -> None:
        """Add the missing enrolments to the log of changes."""
        log_enrolments(self._database)

    def raise_counters(self) -> None:
        """Make sure that no id is ever given twice."""
        raise_counters(self._database)

    def check(self) -> list[Damage]:
        """What is wrong with the database; an empty list if it is sound."""
        return inspect(self._database)

    def unsound(self) -> list[str]:
        """One sentence for each damage or, if nothing is damaged, for each inconsistency; empty if all is sound."""
        return [damage.text for damage in self.check()] or [finding.text for finding in self.inconsistencies()]


def _bring_up_to_date(database: Database) -> None:
    with database.read() as connection:
        # The application id of an encrypted database can only be read once it is open.
        refuse_stranger(connection.exec_driver_sql("PRAGMA application_id").scalar_one(), database.path)
        version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise IntegrityError(
            f"The gallery's database {str(database.path)!r} has schema {version}, expected at most "
            f"{len(MIGRATIONS)}: a newer Twindex made it; upgrade Twindex."
        )
    if version < len(MIGRATIONS):
        with database.write() as connection:
            migrate(connection)
    with database.read() as connection:
        _refuse_missing_tables(connection, database.path)


def _refuse_unwritable(path: Path) -> None:
    if not may_write(path):
        raise UsageError(
            f"The gallery's database {str(path)!r} has an older schema and cannot be written; run `twindex doctor` "
            "once where it can be, to bring it up to date."
        )


def _refuse_missing_tables(connection: Connection, path: Path) -> None:
    found = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    missing = sorted(set(METADATA.tables) - found)
    if missing:
        raise IntegrityError(
            f"The gallery's database {str(path)!r} is missing the tables {', '.join(missing)}; restore a backup."
        )
