"""Whether a database has exactly the schema that its migrations make, and values of the declared types.

SQLite itself runs triggers and views, so in a database from a stranger they would be a stranger's program.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import Connection

from twindex.storage.schema.migrations import MIGRATIONS, schema_version
from twindex.storage.sqlite.database import Database

_OBJECTS = "SELECT type, name, sql FROM sqlite_master"
_STORED_AS = {
    "INTEGER": "integer",
    "BOOLEAN": "integer",
    "FLOAT": "real",
    "TEXT": "text",
    "JSON": "text",
    "BLOB": "blob",
}
_NO_MARKS = str.maketrans("", "", "\"'`[] \t\r\n")


def schema_differences(database: Database) -> list[str]:
    """One sentence for each table, index, view or trigger that is missing, changed or foreign.

    A database with a newer schema gives none, because its right schema is unknown here.
    """
    with database.read() as connection:
        found = {(kind, name): _plain(sql) for kind, name, sql in connection.exec_driver_sql(_OBJECTS)}
        version = schema_version(connection)
    if version > len(MIGRATIONS):
        return []
    expected = _expected(version)
    differences = [
        f"The {kind} {name!r} is missing from the database." for kind, name in expected.keys() - found.keys()
    ]
    differences += [
        f"The database has a {kind} {name!r}, which does not belong to a gallery."
        for kind, name in found.keys() - expected
    ]
    differences += [
        f"The {kind} {name!r} is not defined as Twindex defines it."
        for kind, name in expected.keys() & found.keys()
        if expected[kind, name] != found[kind, name]
    ]
    return sorted(differences)


def type_differences(database: Database) -> list[str]:
    """One sentence for each column that holds values of another type than declared, which SQLite allows."""
    with database.read() as connection:
        return list(_type_differences(connection))


def _type_differences(connection: Connection) -> Iterator[str]:
    tables = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    for table in list(tables.scalars()):
        for _, column, declared, required, _, key in list(connection.exec_driver_sql(f'PRAGMA table_info("{table}")')):
            allowed = [_STORED_AS[declared]] if required or key else [_STORED_AS[declared], "null"]
            listed = ", ".join(f"'{name}'" for name in allowed)
            wrong = connection.exec_driver_sql(
                f'SELECT count(*) FROM "{table}" WHERE typeof("{column}") NOT IN ({listed})'
            ).scalar_one()
            if wrong:
                yield f"{wrong} values of {table}.{column} are not of type {' or '.join(allowed)}."


def _expected(version: int) -> dict[tuple[str, str], str]:
    """The schema after that number of migrations, as SQLite itself reports it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in MIGRATIONS[: max(0, version)]:
            for statement in migration:
                connection.execute(statement)
        return {(kind, name): _plain(sql) for kind, name, sql in connection.execute(_OBJECTS)}


def _plain(sql: str | None) -> str:
    """A definition without white space and quotation marks; empty for an index that SQLite makes by itself."""
    return "" if sql is None else sql.translate(_NO_MARKS)
