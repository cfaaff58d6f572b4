"""FAISS's errors as ours, in the one place where they are mapped."""

from collections.abc import Iterator
from contextlib import contextmanager

from twindex.errors import TwindexError


@contextmanager
def wrap_faiss(doing: str, error: type[TwindexError], remedy: str) -> Iterator[None]:
    """Raise what FAISS raises as an error of ours.

    FAISS has RuntimeError for everything but a failed allocation, which is MemoryError.

    Args:
        doing: What was under way: "adding 3 vectors".
        error: What to raise.
        remedy: What to do about it, as a sentence.

    Raises:
        TwindexError: `error`, with FAISS's text.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as failure:
        reason = " ".join(str(failure).split()) or type(failure).__name__
        raise error(f"FAISS failed while {doing}: {reason}. {remedy}") from failure
