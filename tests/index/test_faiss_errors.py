import pytest

from twindex.errors import IntegrityError, TwindexError
from twindex.index.faiss_errors import wrap_faiss


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("Error in x at\n  y.cpp:1: bad"), "Error in x at y.cpp:1: bad"),
        (MemoryError("std::bad_alloc"), "std::bad_alloc"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_faiss_errors_are_translated_with_their_text(failure: Exception, reason: str) -> None:
    with (
        pytest.raises(IntegrityError, match=f"^FAISS failed while reading: {reason}. Rebuild.$") as caught,
        wrap_faiss("reading", IntegrityError, "Rebuild."),
    ):
        raise failure
    assert caught.value.__cause__ is failure


def test_other_errors_are_not_translated() -> None:
    with pytest.raises(KeyError, match="gone"), wrap_faiss("reading", TwindexError, "Rebuild."):
        raise KeyError("gone")
