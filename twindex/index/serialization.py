"""FAISS structures to bytes and back, in bounded memory and with checks on reading."""

import threading
from collections.abc import Sequence

import faiss
import numpy as np

from twindex.errors import IntegrityError, TwindexError
from twindex.index.faiss_errors import wrap_faiss
from twindex.index.shards import shareable
from twindex.index.spec import IndexSpec
from twindex.index.structure import Description, describe, empty_structure, exhaustive_structure, parts

# The byte limit is one number for the whole process.
_limit_lock = threading.Lock()
_REMEDY = "`twindex compact` writes a new one from the store."


def to_bytes(structures: Sequence[faiss.Index]) -> bytes:
    """Structures in FAISS's format, one after another.

    Raises:
        TwindexError: FAISS failed, for instance because there was not enough memory.
    """
    with wrap_faiss("writing an index to memory", TwindexError, "Free some memory and try again."):
        writer = faiss.VectorIOWriter()
        for structure in structures:
            faiss.write_index(structure, writer)
        data: bytes = faiss.vector_to_array(writer.data).tobytes()
    return data


def from_bytes(spec: IndexSpec, data: bytes | memoryview, dim: int) -> list[faiss.Index]:
    """Structures from FAISS's format.

    Args:
        spec: The specification of each structure. The exact structure that replaces it below the training minimum is
            accepted too.
        data: Bytes from `to_bytes`. FAISS's format has no checksum, so the caller must have compared one.
        dim: Length of a vector.

    Returns:
        At least one structure, ready to search.

    Raises:
        IntegrityError: The bytes are damaged, or hold another kind of structure, metric or length of vector.
    """
    with wrap_faiss("reading an index", IntegrityError, _REMEDY):
        expected = describe(empty_structure(spec, dim))
        structures = _limited_read(np.frombuffer(data, dtype=np.uint8), _table_bytes(spec))
    for structure in structures:
        _check(structure, spec, expected, dim)
    if len(structures) > 1 and not (shareable(spec) and len({describe(structure) for structure in structures}) == 1):
        raise IntegrityError(f'The stored index is {len(structures)} structures, expected one "{spec.text}". {_REMEDY}')
    return structures


def _check(structure: faiss.Index, spec: IndexSpec, expected: Description, dim: int) -> None:
    found = describe(structure)
    untrained = spec.needs_training and found == describe(exhaustive_structure(dim))
    if found != expected and not untrained:
        raise IntegrityError(
            f'The stored index is not a "{spec.text}" of {dim} dimensions: expected {expected}, got {found}. {_REMEDY}'
        )
    if not all(part.is_trained and part.ntotal == structure.ntotal for part in parts(structure)):
        raise IntegrityError(f"The parts of the stored index hold different numbers of references. {_REMEDY}")


def _limited_read(data: np.ndarray[tuple[int], np.dtype[np.uint8]], extra: int) -> list[faiss.Index]:
    """Deserialise; apart from its tables, nothing may claim more memory than the data has bytes."""
    with _limit_lock:
        before = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(len(data) + extra)
        try:
            reader = faiss.VectorIOReader()
            faiss.copy_array_to_vector(data, reader.data)
            structures = [faiss.read_index(reader)]
            while reader.rp < len(data):
                structures.append(faiss.read_index(reader))
            return structures
        finally:
            faiss.set_deserialization_vector_byte_limit(before)


def _table_bytes(spec: IndexSpec) -> int:
    """Bytes of the tables that FAISS computes when it reads an IVF with a product quantiser.

    They hold one float for each codeword and cell. FAISS wants them strictly below its limit, hence one more float.
    """
    return 4 * (spec.cells * spec.segments * spec.codewords + 1)
