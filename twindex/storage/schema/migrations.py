"""The schema's migrations: an append-only list; each entry holds the statements that lead to the next version.

`PRAGMA user_version` is the number of entries that were applied. A released entry never changes.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

_SCHEMA_1 = (
    """CREATE TABLE gallery (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
        gallery_id TEXT NOT NULL,
        keep_crops BOOLEAN NOT NULL,
        created TEXT NOT NULL,
        threshold JSON)""",
    """CREATE TABLE subjects (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        details JSON NOT NULL,
        created TEXT NOT NULL)""",
    """CREATE TABLE samples (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        source_sha256 TEXT NOT NULL,
        source_name TEXT NOT NULL,
        face_index INTEGER NOT NULL,
        face JSON,
        quality FLOAT NOT NULL,
        crop_sha256 BLOB,
        crop BLOB,
        UNIQUE (source_sha256, face_index))""",
    """CREATE TABLE "references" (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        sample_id INTEGER NOT NULL REFERENCES samples (id),
        subject_id INTEGER NOT NULL REFERENCES subjects (id),
        enrolled TEXT NOT NULL,
        UNIQUE (sample_id, subject_id))""",
    'CREATE INDEX references_subject ON "references" (subject_id)',
    """CREATE TABLE templates (
        id INTEGER NOT NULL PRIMARY KEY,
        reference_id INTEGER NOT NULL REFERENCES "references" (id),
        fingerprint TEXT NOT NULL,
        sha256 BLOB NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (fingerprint, reference_id))""",
    "CREATE INDEX templates_reference ON templates (reference_id)",
    """CREATE TABLE changes (
        revision INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('enrolled', 'erased')),
        reference INTEGER NOT NULL)""",
    """CREATE TABLE generations (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL,
        index_spec TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('building', 'active', 'retired')),
        created TEXT NOT NULL,
        activated TEXT,
        snapshot JSON)""",
    "CREATE UNIQUE INDEX generations_one_active ON generations (state) WHERE state = 'active'",
    """CREATE TABLE jobs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        parameters JSON NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted', 'failed')),
        created TEXT NOT NULL,
        finished TEXT)""",
    """CREATE TABLE job_items (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        job_id INTEGER NOT NULL REFERENCES jobs (id),
        path BLOB,
        subject TEXT,
        status TEXT NOT NULL CHECK (status IN ('pending', 'enrolled', 'skipped', 'failed')),
        reason TEXT,
        reference INTEGER,
        UNIQUE (job_id, path, subject))""",
)

_SCHEMA_2 = (
    "ALTER TABLE gallery ADD COLUMN consent_required BOOLEAN NOT NULL DEFAULT 0",
    'ALTER TABLE "references" ADD COLUMN consent TEXT',
    'ALTER TABLE "references" ADD COLUMN expires TEXT',
    'CREATE INDEX references_expires ON "references" (expires) WHERE expires IS NOT NULL',
    "ALTER TABLE job_items ADD COLUMN consent TEXT",
    "ALTER TABLE job_items ADD COLUMN expires TEXT",
    """CREATE TABLE audit (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subjects JSON NOT NULL,
        details JSON NOT NULL)""",
    """CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    """CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    # INSERT OR REPLACE deletes rows without firing a delete trigger.
    """CREATE TRIGGER audit_keeps_numbers BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
)

MIGRATIONS: Sequence[Sequence[str]] = (_SCHEMA_1, _SCHEMA_2)


def schema_version(connection: Connection) -> int:
    """How many migrations were applied to the database."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def migrate(connection: Connection) -> None:
    """Apply the missing migrations in the caller's write transaction, so that all of them commit or none does."""
    for version in range(schema_version(connection), len(MIGRATIONS)):
        for statement in MIGRATIONS[version]:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version = {version + 1}")
