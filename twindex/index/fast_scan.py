"""Removal from fast-scan codes (PQmx4fs), made safe for adding again.

FAISS packs these codes in blocks of 32 and adds to a block with a bitwise or, which assumes that unused places are
zero. But `remove_ids` leaves the last codes in place, so that the codes added next are mixed with them and give wrong
distances (measured with faiss-cpu 1.15.1; the tests cover it). Zeroing the unused places solves this.
"""

import faiss
import numpy as np

from twindex.index.structure import parts
from twindex.types import Int64


def remove_codes(structure: faiss.Index, references: Int64) -> None:
    """Remove references from a structure whose innermost part uses fast-scan codes.

    Args:
        structure: A structure of `structure.py`, changed in place.
        references: (n,) int64, all present.
    """
    leaf = parts(structure)[-1]
    if isinstance(leaf, faiss.IndexIVFFastScan):
        lists = faiss.downcast_InvertedLists(leaf.invlists)
        before = _list_sizes(lists)
        structure.remove_ids(references)
        after = _list_sizes(lists)
        for cell in np.flatnonzero(after != before).tolist():
            _blank_unused_places(lists.packer, lists.get_codes(cell), int(after[cell]))
    else:
        structure.remove_ids(references)
        _blank_unused_places(leaf.get_CodePacker(), leaf.codes.get(), leaf.ntotal)


def _list_sizes(lists: faiss.InvertedLists) -> Int64:
    return np.array([lists.list_size(cell) for cell in range(lists.nlist)], dtype=np.int64)


def _blank_unused_places(packer: faiss.CodePacker, codes: object, used: int) -> None:
    """Zero the places after `used` in the last block, if that block is not full."""
    start = used % packer.nvec
    if start == 0:
        return
    blocks = faiss.rev_swig_ptr(codes, (used // packer.nvec + 1) * packer.block_size)
    last = blocks[-packer.block_size :].reshape(1, packer.block_size)
    blank = np.zeros(packer.code_size, dtype=np.uint8)
    for place in range(start, packer.nvec):
        packer.pack_1(blank, place, last)
