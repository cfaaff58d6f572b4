"""The one place that translates FAISS's errors into Twindex's."""

from collections.abc import Iterator
from contextlib import contextmanager

from twindex.errors import TwindexError


@contextmanager
def wrap_faiss(doing: str, error: type[TwindexError], remedy: str) -> Iterator[None]:
    """Translate FAISS's errors inside the block.

    FAISS raises MemoryError for a failed allocation and RuntimeError for everything else.

    Args:
        doing: What FAISS is doing, such as "adding 3 vectors".
        error: The error to raise.
        remedy: What to do about it, as a sentence.

    Raises:
        TwindexError: `error`, with FAISS's text.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as failure:
        reason = " ".join(str(failure).split()) or type(failure).__name__
        raise error(f"FAISS failed while {doing}: {reason}. {remedy}") from failure
