"""FAISS structures to bytes and back, in bounded memory and with what comes back checked."""

import threading

import faiss
import numpy as np

from twindex.errors import IntegrityError, TwindexError
from twindex.index.faiss_errors import wrap_faiss
from twindex.index.spec import IndexSpec
from twindex.index.structure import describe, empty_structure, exhaustive_structure, parts

# The byte limit is one number for the whole process.
_limit_lock = threading.Lock()
_REMEDY = "Rebuild the index from the store."


def to_bytes(structure: faiss.Index) -> bytes:
    """A structure in FAISS's format.

    Raises:
        TwindexError: FAISS failed, for want of memory for instance.
    """
    with wrap_faiss("writing an index to memory", TwindexError, "Free some memory and try again."):
        data: bytes = faiss.serialize_index(structure).tobytes()
    return data


def from_bytes(spec: IndexSpec, data: bytes | memoryview, dim: int) -> faiss.Index:
    """A structure from FAISS's format.

    Args:
        spec: What it was built as; the exact structure that stands in below the training minimum is accepted too.
        data: What `to_bytes` gave. FAISS's format has no checksum: whoever calls has compared one.
        dim: Length of a vector.

    Returns:
        The structure, ready to search.

    Raises:
        IntegrityError: Damaged, or of another make, metric or length of vector.
    """
    with wrap_faiss("reading an index", IntegrityError, _REMEDY):
        expected = describe(empty_structure(spec, dim))
        structure = _limited_read(np.frombuffer(data, dtype=np.uint8), _table_bytes(spec))
        found = describe(structure)
    untrained = spec.needs_training and found == describe(exhaustive_structure(dim))
    if found != expected and not untrained:
        raise IntegrityError(
            f'The stored index is not a "{spec.text}" of {dim} dimensions: expected {expected}, got {found}. {_REMEDY}'
        )
    if not all(part.is_trained and part.ntotal == structure.ntotal for part in parts(structure)):
        raise IntegrityError(f"The parts of the stored index disagree on what they hold. {_REMEDY}")
    return structure


def _limited_read(data: np.ndarray[tuple[int], np.dtype[np.uint8]], extra: int) -> faiss.Index:
    """Deserialise; nothing in the file may claim more memory than the file has bytes, its tables excepted."""
    with _limit_lock:
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(len(data) + extra)
        try:
            return faiss.deserialize_index(data)
        finally:
            faiss.set_deserialization_vector_byte_limit(before)


def _table_bytes(spec: IndexSpec) -> int:
    """Bytes of the tables that FAISS computes on reading an IVF with a product quantiser: a float a codeword and cell.

    FAISS wants them strictly below its limit, hence one float more.
    """
    return 4 * (spec.cells * spec.segments * spec.codewords + 1)
