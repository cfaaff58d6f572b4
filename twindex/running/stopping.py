"""Stopping cleanly: a signal that arrives during a transaction takes effect when the transaction ends.

A signal handler that raises in the middle of a transaction can leave its connection open, with a lock that the program
then waits for itself. Python runs handlers only in the main thread, so only that thread's transactions need this.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class _Transactions:
    """The main thread's transactions: how many are open, and which handler waits for their end."""

    open: int = 0
    waiting: Callable[[], object] | None = None
    over: bool = False  # whether the program is ending


def handle(number: signal.Signals, handler: Handler) -> None:
    """Call a handler when a signal arrives, or after the transactions that are open at that moment."""
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
    """Ignore signals from now on: the work is done, and a handler that raises during exit would print a traceback."""
    _Transactions.over = True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay signals until the block has ended."""
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
