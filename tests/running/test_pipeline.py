import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twindex.running.pipeline import batched, in_order, run_pipeline


def test_results_come_in_order_whatever_finishes_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        if item == 1:
            second_done.set()
        return item * item

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(range(20), work, pool, ahead=4)) == [item * item for item in range(20)]


def test_memory_is_bounded_by_what_is_taken() -> None:
    taken = []

    def source():
        for item in range(1_000):
            taken.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = in_order(source(), str, pool, ahead=5)
        assert next(results) == "0"
        assert len(taken) == 5
        results.close()


def test_batches_keep_order_and_the_rest() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_reading_continues_while_a_batch_is_embedded() -> None:
    later_item_read = threading.Event()
    committed: list[list[int]] = []

    def read(item: int) -> int:
        if item >= 4:
            later_item_read.set()
        return item

    def embed(batch: list[int]) -> list[int]:
        assert later_item_read.wait(10)
        return batch

    run_pipeline(range(10), read, embed, committed.append, readers=2, batch=2)
    assert committed == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_an_error_stops_the_pipeline_and_keeps_what_was_committed() -> None:
    committed: list[list[int]] = []

    def embed(batch: list[int]) -> list[int]:
        if 6 in batch:
            raise RuntimeError("the disk is full")
        return batch

    with pytest.raises(RuntimeError, match="disk is full"):
        run_pipeline(range(100), int, embed, committed.append, readers=2, batch=2)
    assert committed == [[0, 1], [2, 3], [4, 5]]
