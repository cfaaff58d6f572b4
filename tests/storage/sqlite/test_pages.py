"""A table is read page by page, and reading a damaged one ends with an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from tests.storage.builders import MODEL, request
from twindex.errors import IntegrityError
from twindex.storage import Store
from twindex.storage.schema.tables import SAMPLES
from twindex.storage.sqlite.pages import advanced, pages

_SAMPLES = select(SAMPLES.c.id, SAMPLES.c.source_name)


class Repeating:
    """Simulates a database with a truncated table, for which SQLite returns the same page again and again."""

    def __init__(self) -> None:
        self.asked = 0

    @contextmanager
    def read(self) -> Iterator["Repeating"]:
        self.asked += 1
        assert self.asked < 3, "the page is asked for again"
        yield self

    def execute(self, _statement: object) -> "Repeating":
        return self

    def all(self) -> list[tuple[int, str]]:
        return [(1, "a"), (2, "b"), (0, "c")]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_every_row_comes_once_in_order(store: Store, size: int) -> None:
    store.references.enroll_many([request(number, f"subject {number}") for number in range(5)], MODEL)
    found = list(pages(store._database, _SAMPLES, size))
    assert [row[0] for page in found for row in page] == [1, 2, 3, 4, 5]
    assert max(map(len, found)) == min(size, 5)


def test_an_empty_table_has_no_page(store: Store) -> None:
    assert list(pages(store._database, _SAMPLES, 5)) == []


def test_a_page_that_would_be_read_again_is_damage() -> None:
    damaged: Any = Repeating()
    with pytest.raises(IntegrityError, match="above id 0 ends with id 0"):
        list(pages(damaged, _SAMPLES, 5))


@pytest.mark.parametrize("last", [7, 6, 0])
def test_the_last_id_must_be_above_the_start(last: int) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        advanced(7, last)
    assert advanced(7, 8) == 8
