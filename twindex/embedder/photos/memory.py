"""Room for photos in memory: large ones wait for each other, small ones are read beside each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Room:
    """As much memory as one photo may take at most, shared between threads."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._changed = Condition()
        self._queue = Lock()

    @contextmanager
    def taken(self, share: float) -> Iterator[None]:
        """Wait until a share of the room is free, and hold it.

        Args:
            share: Above 0; all of the room is 1.

        Raises:
            ValueError: `share` is out of range; one waiting for it would wait for ever.
        """
        if not 0 < share <= 1:
            raise ValueError(f"Expected a share of the room above 0 and at most 1, got {share}.")
        # Whoever waits is not overtaken by smaller ones, or a large photo might wait for ever.
        with self._queue, self._changed:
            self._changed.wait_for(lambda: self._taken + share <= 1)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                # Sums of fractions do not come back to zero by themselves.
                if self._taken < 1e-9:
                    self._taken = 0.0
                self._changed.notify_all()
