"""The memory for decoding photos, shared by threads: small photos are decoded side by side, large ones in turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class MemoryBudget:
    """The most memory that one photo may take, shared by all threads."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._changed = Condition()
        self._queue = Lock()

    @contextmanager
    def taken(self, share: float) -> Iterator[None]:
        """Wait until a share of the budget is free, and hold it.

        Args:
            share: Above 0; the whole budget is 1.

        Raises:
            ValueError: `share` is out of range: it would never become free.
        """
        if not 0 < share <= 1:
            raise ValueError(f"Expected a share of the memory above 0 and at most 1, got {share}.")
        # First come, first served: if small photos could overtake, a large one might wait for ever.
        with self._queue, self._changed:
            self._changed.wait_for(lambda: self._taken + share <= 1)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                # Rounding errors would add up over many photos.
                if self._taken < 1e-9:
                    self._taken = 0.0
                self._changed.notify_all()
