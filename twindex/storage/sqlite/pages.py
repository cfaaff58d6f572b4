"""Reading a table a page at a time, each page its own short transaction, so that nobody waits for the whole."""

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
        database: Open.
        statement: Without an order.
        size: Most rows of a page.

    Raises:
        IntegrityError: The table is damaged and would be read for ever.
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
    """The last id of the page that was asked for above `after`: where the next one goes on.

    Raises:
        IntegrityError: It is not above `after`, as where SQLite reads a table that was cut short: the same page would
            come again and again.
    """
    if last <= after:
        raise IntegrityError(
            f"The database is damaged: a page of rows above id {after} ends with id {last}. Run `twindex doctor`."
        )
    return last
