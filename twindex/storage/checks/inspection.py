"""Looking for damage: SQLite's own checks, and the stored hashes of templates and crops."""

from collections.abc import Iterator

from sqlalchemy import func, select

from twindex.errors import TwindexError
from twindex.storage.schema.tables import AUDIT, AUDIT_TRIGGERS, SAMPLES, TEMPLATES
from twindex.storage.sqlite.database import Database
from twindex.storage.sqlite.pages import pages
from twindex.storage.values.records import Damage, TemplateKey
from twindex.storage.values.template_format import crop_is_sound, template_is_sound

_PAGE = 500


def inspect(database: Database) -> list[Damage]:
    """What is wrong with the database; an empty list if it is sound.

    A check that cannot be carried out is itself a finding; the other checks still run.
    """
    findings: list[Damage] = []
    for check in (_structure, _foreign_keys, _audit, _templates, _crops):
        try:
            findings.extend(check(database))
        except TwindexError as error:
            findings.append(Damage(str(error)))
    # One damaged page can make several checks fail with the same message.
    return list(dict.fromkeys(findings))


def _structure(database: Database) -> Iterator[Damage]:
    with database.read() as connection:
        for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if line != "ok":
                yield Damage(f"SQLite finds the file damaged: {line}.")


def _foreign_keys(database: Database) -> Iterator[Damage]:
    with database.read() as connection:
        for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            yield Damage(f"Row {row} of {table!r} refers to a row of {parent!r} that does not exist.")


def _audit(database: Database) -> Iterator[Damage]:
    with database.read() as connection:
        guards = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
        last = connection.scalar(select(func.max(AUDIT.c.id))) or 0
        issued = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").scalar() or 0
        count = connection.execute(select(func.count()).select_from(AUDIT)).scalar_one()
    for guard in sorted(set(AUDIT_TRIGGERS) - guards):
        yield Damage(f"The audit is not append-only: its trigger {guard!r} is gone.")
    # Rows are numbered without gaps, because a transaction that fails also rolls back the counter.
    if not count == last == issued:
        yield Damage(f"Rows are missing from the audit: it has {count}, but {issued} were written.")


def _templates(database: Database) -> Iterator[Damage]:
    statement = select(
        TEMPLATES.c.id, TEMPLATES.c.reference_id, TEMPLATES.c.fingerprint, TEMPLATES.c.vector, TEMPLATES.c.sha256
    )
    for rows in pages(database, statement, _PAGE):
        for _, reference, fingerprint, vector, sha256 in rows:
            # SQLite stores any type in any column, and only these types can be hashed.
            typed = isinstance(reference, int) and isinstance(fingerprint, str) and isinstance(vector, bytes)
            if not (typed and fingerprint.isascii() and template_is_sound(reference, fingerprint, vector, sha256)):
                text = f"The template of reference {reference} under model {fingerprint} is damaged."
                yield Damage(text, TemplateKey(reference, fingerprint) if typed else None, "template")


def _crops(database: Database) -> Iterator[Damage]:
    statement = select(SAMPLES.c.id, SAMPLES.c.source_name, SAMPLES.c.crop, SAMPLES.c.crop_sha256)
    for rows in pages(database, statement, _PAGE):
        for number, source_name, crop, sha256 in rows:
            if not crop_is_sound(crop, sha256):
                yield Damage(f"The crop of sample {number}, from {source_name!r}, is damaged.", code="crop")
