"""What a first question needs, loaded beside the opening of the database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twindex.embedder.faces.reader import FaceReader


class Loading:
    """Loads the detector in a thread, from the moment it is made."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "load")
        self._reader = self._threads.submit(_ready_reader)

    def reader(self) -> FaceReader:
        """The reader, once its detector is loaded."""
        return self._reader.result()

    def model(self, prepare: Callable[[], None]) -> None:
        """Load a model too; if that fails, the first question reports it."""
        self._threads.submit(prepare)

    def close(self) -> None:
        """Wait until nothing is being loaded any more."""
        self._threads.shutdown()


def _ready_reader() -> FaceReader:
    from twindex.embedder.faces.reader import FaceReader

    reader = FaceReader()
    reader.prepare()
    return reader
