"""Three stages that work at the same time: read, embed in batches, commit; in order and in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

READERS = max(2, os.cpu_count() or 2)  # threads that decode and detect
Item = TypeVar("Item")
Read = TypeVar("Read")
Embedded = TypeVar("Embedded")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Read], pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Read]:
    """Results of `work` in the order of `items`; at most `ahead` items are in work or waiting to be taken."""
    waiting: deque[Future[Read]] = deque()
    source = iter(items)
    try:
        waiting.extend(pool.submit(work, item) for item in islice(source, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(source, 1))
    finally:
        for future in waiting:
            future.cancel()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def run_pipeline(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    embed: Callable[[list[Read]], Embedded],
    commit: Callable[[Embedded], None],
    *,
    readers: int,
    batch: int,
) -> None:
    """Read in `readers` threads, embed batches in another thread, commit in the caller's; all three overlap.

    Args:
        items: What to read; taken lazily.
        read, embed, commit: The stages. An exception in any of them stops the pipeline and is raised.
        readers: How many threads read.
        batch: How many items are embedded together; at most four batches are in memory.
    """
    with ThreadPoolExecutor(readers, "read") as reading, ThreadPoolExecutor(1, "embed") as embedding:
        captured = in_order(items, read, reading, ahead=2 * batch)
        for embedded in in_order(batched(captured, batch), embed, embedding, ahead=2):
            commit(embedded)
