"""Stopping in order: a signal that comes during a transaction takes effect at its end.

A handler that raises in the middle of one can leave its connection open, with a lock that the program itself then waits
for. Python runs handlers in the main thread only, so only transactions of that thread need this.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class _Transactions:
    """Those of the main thread: how many are open, and what waits for their end."""

    open: int = 0
    waiting: Callable[[], object] | None = None
    over: bool = False  # whether the program is ending


def handle(number: signal.Signals, handler: Handler) -> None:
    """Call a handler when a signal comes, or when the transactions that are open then have ended."""
    _Transactions.over = False

    def deferred(given: int, frame: FrameType | None) -> None:
        if _Transactions.over:
            return
        if _Transactions.open:
            _Transactions.waiting = lambda: handler(given, None)
        else:
            handler(given, frame)

    signal.signal(number, deferred)


def end_handling() -> None:
    """Call no handler any more: the work is done, and one that raises while the interpreter ends shows a traceback."""
    _Transactions.over = True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait until the block has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Transactions.open += 1
    try:
        yield
    finally:
        _Transactions.open -= 1
        waiting = _Transactions.waiting
        if waiting is not None and not _Transactions.open:
            _Transactions.waiting = None
            waiting()
