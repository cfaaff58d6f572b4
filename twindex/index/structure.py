"""FAISS structures with 64-bit ids: making them from a spec, training, listing and comparing them.

There are two ways to store ids. An inverted file (IVF) stores them itself and must not be wrapped: `IndexIDMap` over an
IVF maps ids to wrong vectors after a removal. Everything else is wrapped in `IndexIDMap`. The similar `IndexIDMap2`
adds a hash table for looking up vectors by id, which is not needed here.
"""

import faiss
import numpy as np

from twindex.index.spec import IndexSpec
from twindex.types import Float32, Int64

Description = tuple[tuple[str, int, int, int], ...]
"""For each part of a structure, from the outside in: class, length of a vector, metric and number of cells."""

_GRAPH_CONSTRUCTION_BREADTH = 200
# SQ8 clips components outside the range it was trained on, and later references can exceed it. Widen the range at
# either end by this share of its width.
_RANGE_MARGIN = 0.25


def empty_structure(spec: IndexSpec, dim: int) -> faiss.Index:
    """An empty structure, not yet trained if the spec needs training.

    Args:
        spec: The structure to make.
        dim: Length of a vector, which `spec.check_dim` has accepted.

    Returns:
        A FAISS index that takes `add_with_ids`.
    """
    bare = faiss.index_factory(dim, spec.text, faiss.METRIC_L2)
    if spec.is_graph:
        bare.hnsw.efConstruction = _GRAPH_CONSTRUCTION_BREADTH
    if spec.cells:
        # The serialised form includes this setting.
        faiss.extract_index_ivf(bare).nprobe = spec.probed_cells
        return bare
    return faiss.IndexIDMap(bare)


def exhaustive_structure(dim: int) -> faiss.Index:
    """A structure that computes every distance; used if there are too few references to train the spec's."""
    return faiss.IndexIDMap(faiss.IndexFlatL2(dim))


def train(structure: faiss.Index, sample: Float32) -> None:
    """Train the structure. FAISS seeds its k-means, so the same sample gives the same centroids.

    Args:
        structure: Changed in place.
        sample: (n, dim) float32, at least the spec's `minimum_references`.
    """
    leaf = parts(structure)[-1]
    quantiser = getattr(leaf, "pq", None)
    rotation = _rotation(structure)
    if rotation is not None:
        # By default OPQ assumes 256 codewords, whatever quantiser follows it.
        bits = quantiser.nbits if quantiser is not None else 8
        rotation.pq = stand_in = faiss.ProductQuantizer(rotation.d_out, rotation.M, bits)
        _silence(stand_in.cp)
    if quantiser is not None:
        _silence(quantiser.cp)
    if hasattr(leaf, "cp"):
        _silence(leaf.cp)
    if hasattr(leaf, "sq"):
        leaf.sq.rangestat_arg = _RANGE_MARGIN
    if hasattr(leaf, "do_polysemous_training"):
        # It orders the codewords for a Hamming filter that is not used here, and takes most of the training time.
        leaf.do_polysemous_training = False
    structure.train(sample)
    if rotation is not None:
        # The structure does not own the stand-in, and outlives it.
        rotation.pq = None


def parts(structure: faiss.Index) -> tuple[faiss.Index, ...]:
    """The structure and the structures inside it, from the outside in, each with its own class."""
    chain = [faiss.downcast_index(structure)]
    while isinstance(chain[-1], faiss.IndexIDMap | faiss.IndexPreTransform):
        chain.append(faiss.downcast_index(chain[-1].index))
    return tuple(chain)


def describe(structure: faiss.Index) -> Description:
    """The parts of a structure, for comparison."""
    return tuple(
        (_class_name(part), int(part.d), int(part.metric_type), int(getattr(part, "nlist", 0)))
        for part in parts(structure)
    )


def _class_name(part: faiss.Index) -> str:
    # FAISS's factory and its reader use different classes for the same structure: IndexFlat and IndexFlatL2.
    return "IndexFlat" if isinstance(part, faiss.IndexFlat) else type(part).__name__


def stored_ids(structure: faiss.Index) -> Int64:
    """The id of every entry, in no particular order.

    Returns:
        (ntotal,) int64; the tombstones of a graph are negative.
    """
    outermost = parts(structure)[0]
    if isinstance(outermost, faiss.IndexIDMap):
        ids: Int64 = faiss.vector_to_array(outermost.id_map)
        return ids
    lists = faiss.extract_index_ivf(outermost).invlists
    kept = [np.empty(0, dtype=np.int64)]
    for cell in range(lists.nlist):
        size = lists.list_size(cell)
        # An empty list may have no memory; copy the view before FAISS can move the list.
        if size:
            kept.append(faiss.rev_swig_ptr(lists.get_ids(cell), size).copy())
    return np.concatenate(kept)


def _rotation(structure: faiss.Index) -> faiss.OPQMatrix | None:
    """The OPQ step of a structure, if it has one."""
    for part in parts(structure):
        if isinstance(part, faiss.IndexPreTransform):
            step = faiss.downcast_VectorTransform(part.chain.at(0))
            if isinstance(step, faiss.OPQMatrix):
                return step
    return None


def _silence(clustering: faiss.ClusteringParameters) -> None:
    """Keep k-means from printing a request for more points on stderr; the spec's minimum has settled that already."""
    clustering.min_points_per_centroid = 1
