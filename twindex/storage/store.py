"""The gallery's database: the only truth, of which indexes are copies."""

from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select, update

from twindex.errors import IntegrityError, UsageError
from twindex.keys import GalleryKey, environment_key, matching_keys
from twindex.sealing import FileSealer
from twindex.storage.changes import Changes
from twindex.storage.creation import create_database
from twindex.storage.database import Database
from twindex.storage.generations import Generations
from twindex.storage.inspection import inspect
from twindex.storage.jobs import Jobs
from twindex.storage.journal import read_header, refuse_stranger
from twindex.storage.migrations import MIGRATIONS, migrate, schema_version
from twindex.storage.records import Damage, GalleryRecord, GenerationSpec, StoredThreshold
from twindex.storage.references import References
from twindex.storage.rekeying import remove_leftovers
from twindex.storage.schema import GALLERY, METADATA
from twindex.storage.subjects import Subjects


class Store:
    """An open gallery database, safe to use from several threads. Made by `create` or `open`.

    Attributes:
        references: References and templates.
        subjects: The enrolled.
        changes: The log an index replays.
        generations: Searchable indexes.
        jobs: Batch jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.references = References(database)
        self.subjects = Subjects(database)
        self.changes = Changes(database)
        self.generations = Generations(database)
        self.jobs = Jobs(database)

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
            path: Where no file exists yet.
            keep_crops: Whether crops are kept, so that another model can re-embed them.
            generation: The first generation, active from the start; None makes a gallery that answers nothing yet.
            key: What the gallery is encrypted with; by default the environment's, and without one it is not encrypted.

        Raises:
            UsageError: If there is a file already, or the folder cannot be written.
            EncryptionKeyError: If the environment names a key that cannot be used.
            ValueError: If the generation's fingerprint is not ASCII.
        """
        key = key or environment_key()
        create_database(path, keep_crops=keep_crops, generation=generation, key=key)
        return cls.open(path, key=key)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, key: GalleryKey | None = None) -> Self:
        """Open a gallery database, and bring an older schema up to date unless `read_only`.

        Args:
            path: Of the database.
            read_only: Open it without the means to change it.
            key: What it is encrypted with; by default the environment's.

        Raises:
            UsageError: If there is none, or it is read-only and of an older schema.
            EncryptionKeyError: If the key is missing, wrong, or given to a gallery that is not encrypted.
            IntegrityError: If the file is empty, damaged, not a gallery's, or of a newer schema.
        """
        header = read_header(path)
        keys = matching_keys(path, header.encryption, key or environment_key())
        database = Database(path, read_only=read_only, keys=keys)
        try:
            if not read_only:
                remove_leftovers(path)
            _bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def sealer(self) -> FileSealer | None:
        """What encrypts the files beside the database; None for a gallery that is not encrypted."""
        keys = self._database.keys
        return None if keys is None else FileSealer(keys.files)

    def gallery(self) -> GalleryRecord:
        """What the gallery says of itself."""
        statement = select(GALLERY.c.gallery_id, GALLERY.c.keep_crops, GALLERY.c.created, GALLERY.c.threshold)
        with self._database.read() as connection:
            row = connection.execute(statement).one()
        threshold = None if row.threshold is None else StoredThreshold(**row.threshold)
        return GalleryRecord(row.gallery_id, row.keep_crops, row.created, threshold)

    def set_threshold(self, threshold: StoredThreshold | None) -> None:
        """Set the gallery's operating point, or take it away."""
        stored = None if threshold is None else asdict(threshold)
        with self._database.write() as connection:
            connection.execute(update(GALLERY).values(threshold=stored))

    def finish_erasure(self) -> bool:
        """Remove erased bytes that a pending erasure left in the write-ahead log.

        Returns:
            True if none are left; False while a reader still needs the log.
        """
        return self._database.truncate_journal()

    def check(self) -> list[Damage]:
        """What is wrong with the database; an empty list if it is sound."""
        return inspect(self._database)


def _bring_up_to_date(database: Database) -> None:
    with database.read() as connection:
        # The header of an encrypted database tells nothing before it is open.
        refuse_stranger(connection.exec_driver_sql("PRAGMA application_id").scalar_one(), database.path)
        version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise IntegrityError(
            f"The gallery's database {str(database.path)!r} has schema {version}, expected at most "
            f"{len(MIGRATIONS)}: a newer Twindex made it; upgrade Twindex."
        )
    if version < len(MIGRATIONS):
        if database.read_only:
            raise UsageError(
                f"The gallery's database {str(database.path)!r} has the older schema {version}; "
                "open it once for writing to bring it up to date."
            )
        with database.write() as connection:
            migrate(connection)
    with database.read() as connection:
        _refuse_missing_tables(connection, database.path)


def _refuse_missing_tables(connection: Connection, path: Path) -> None:
    found = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    missing = sorted(set(METADATA.tables) - found)
    if missing:
        raise IntegrityError(
            f"The gallery's database {str(path)!r} lacks the tables {', '.join(missing)}; restore a backup."
        )
