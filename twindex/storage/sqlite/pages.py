"""Reading a table page by page, each in its own short transaction, so that nobody waits for the whole table."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, Select

from twindex.errors import IntegrityError
from twindex.storage.sqlite.database import Database


def pages(
    database: Database, statement: Select[*tuple[Any, ...]], size: int
) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """The rows of a statement in ascending order of its first column, an id.

    Args:
        database: An open database.
        statement: A query without an order.
        size: The largest number of rows in a page.

    Raises:
        IntegrityError: The table is damaged and reading it would never end.
    """
    number = statement.selected_columns[0]
    page = statement.order_by(number).limit(size)
    after = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(page.where(number > after)).all()
        if not rows:
            return
        yield rows
        after = advanced(after, rows[-1][0])


def advanced(after: int, last: int) -> int:
    """The last id of a page, after which the next page starts.

    Args:
        after: The id after which the page was to start.
        last: The last id in the page.

    Raises:
        IntegrityError: `last` is not above `after`, which happens when SQLite reads a truncated table; the same page
            would be read again and again.
    """
    if last <= after:
        raise IntegrityError(
            f"The database is damaged: a page of rows above id {after} ends with id {last}. Run `twindex doctor`."
        )
    return last
