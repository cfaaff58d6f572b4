"""Index specifications: FAISS factory strings of the kinds that the tests cover, and short names for some of them."""

import math
import re
from dataclasses import dataclass

from twindex.errors import UsageError

EXAMPLES = "flat, hnsw, ivf, pq, sq8, HNSW32, IVF256,Flat, IVF256,SQ8, PQ16x4fs, IVF256,PQ16, OPQ16,IVF256,PQ16x4fs"

# FAISS's own guideline for k-means: at least 39 points a centroid; 256 are enough (faiss/Clustering.h).
_LEAST_POINTS = 39
_ENOUGH_POINTS = 256
# Half a million vectors of 128 floats take 256 MiB; a sample is larger only if there are many centroids.
_USUAL_SAMPLE = 2**19
_WIDE_CODEWORDS = 256
_FAST_CODEWORDS = 16
# Ranges and rotations are measured on training vectors and applied to all later ones; they need as many as a codebook.
_MEASURED_POINTS = 256

_ALIASES = {"flat": "Flat", "hnsw": "HNSW32", "pq": "PQ16", "sq8": "SQ8"}
_FACTORY = re.compile(
    r"(?:(?:OPQ(?P<rotated>\d+)(?:_(?P<rotated_dim>\d+))?|PCAR?(?P<pca_dim>\d+)),)?"
    r"(?:IVF(?P<cells>\d+),)?"
    r"(?P<code>Flat|SQ8|PQ(?P<segments>\d+)(?P<fast>x4fs)?)",
    re.IGNORECASE,
)
_GRAPH = re.compile(r"HNSW(?P<links>\d+)(?:,Flat)?", re.IGNORECASE)


@dataclass(frozen=True)
class IndexSpec:
    """A structure that FAISS can build.

    Attributes:
        text: The factory string, such as "IVF64,Flat".
        cells: Inverted lists of an IVF structure; 0 for none.
        segments: Sub-vectors that a product quantiser codes; 0 for none.
        codewords: Centroids for each sub-vector: 256, or 16 for fast-scan codes; 0 for none.
        scalar: Whether each component is coded by one byte (SQ8).
        links: Neighbours of a node of an HNSW graph; 0 for no graph.
        rotated_segments: Sub-vectors that an OPQ rotation balances; 0 for no OPQ.
        reduced_dim: Length of a vector after the OPQ or PCA step; 0 if unchanged.
    """

    text: str
    cells: int = 0
    segments: int = 0
    codewords: int = 0
    scalar: bool = False
    links: int = 0
    rotated_segments: int = 0
    reduced_dim: int = 0

    @property
    def is_graph(self) -> bool:
        """Whether it is an HNSW graph."""
        return self.links > 0

    @property
    def fast_scan(self) -> bool:
        """Whether codes have 4 bits and are packed for SIMD search."""
        return self.codewords == _FAST_CODEWORDS

    @property
    def needs_training(self) -> bool:
        """Whether the structure must be trained on vectors before any is added."""
        return self.minimum_references > 0

    @property
    def minimum_references(self) -> int:
        """How many references training needs; with fewer, an index searches exactly. 0 if nothing is trained.

        This is the largest of: one for each IVF cell, one for each codeword, 256 for SQ8 or OPQ, and one for each
        dimension that PCA keeps.
        """
        measured = _MEASURED_POINTS if self.scalar or self.rotated_segments else 0
        return max(self.cells, self.codewords, measured, self.reduced_dim)

    @property
    def training_points(self) -> int:
        """The largest training sample: 256 references a centroid, fewer for many centroids, but never below 39 each."""
        centroids = max(self.cells, self.codewords, _MEASURED_POINTS)
        return max(min(_ENOUGH_POINTS * centroids, _USUAL_SAMPLE), _LEAST_POINTS * centroids)

    @property
    def probed_cells(self) -> int:
        """How many IVF cells a search visits: all if there are up to 64, otherwise an eighth but at least 64."""
        return min(self.cells, max(64, self.cells // 8))

    def check_dim(self, dim: int) -> None:
        """Check that vectors of this length suit the structure.

        Args:
            dim: Length of a vector.

        Raises:
            UsageError: The vectors cannot be reduced or divided as the structure requires.
        """
        if self.reduced_dim > dim:
            raise UsageError(
                f'The index "{self.text}" keeps {self.reduced_dim} dimensions, but templates have {dim}; '
                f"choose at most {dim}."
            )
        coded = self.reduced_dim or dim
        for parts in (self.rotated_segments, self.segments):
            if parts and coded % parts:
                raise UsageError(
                    f'The index "{self.text}" divides vectors of {coded} dimensions into {parts} equal parts, which '
                    f"leaves a remainder; choose a divisor of {coded}."
                )


def parse_spec(text: str, count: int) -> IndexSpec:
    """Read an index specification.

    Args:
        text: "flat", "hnsw", "ivf", "pq" or "sq8", or a FAISS factory string `[OPQm[_d]|PCAd|PCARd],[IVFn],CODE`, where
            CODE is Flat, SQ8, PQm or PQmx4fs, or `HNSWm[,Flat]`. Case and spaces are ignored.
        count: How many references the index will hold. Only "ivf" uses it: see `suggested_cells`.

    Returns:
        The specification, its text in FAISS's spelling.

    Raises:
        UsageError: The text is none of these, or a number is out of range.
    """
    name = "".join(text.split())
    aliases = {**_ALIASES, "ivf": f"IVF{suggested_cells(count)},Flat"}
    factory = aliases.get(name.lower(), name)
    if graph := _GRAPH.fullmatch(factory):
        links = _within(graph["links"], 4, 128, text)
        return IndexSpec(f"HNSW{links}", links=links)
    match = _FACTORY.fullmatch(factory)
    if match is None:
        raise UsageError(f'"{text}" is not an index that Twindex can build; expected one like {EXAMPLES}.')
    return _factory_spec(match, text)


def suggested_cells(count: int) -> int:
    """IVF cells for a number of references: about 4 * sqrt(count), with at least 39 references each; at least 1."""
    return max(1, min(round(4 * math.sqrt(count)), count // _LEAST_POINTS))


def _factory_spec(match: re.Match[str], text: str) -> IndexSpec:
    rotated = _within(match["rotated"], 1, 256, text)
    reduced = _within(match["rotated_dim"] or match["pca_dim"], 1, 4096, text)
    cells = _within(match["cells"], 1, 2**16, text)
    segments = _within(match["segments"], 1, 256, text)
    codewords = _FAST_CODEWORDS if match["fast"] else _WIDE_CODEWORDS
    return IndexSpec(
        text=_faiss_spelling(match[0]),
        cells=cells,
        segments=segments,
        codewords=codewords if segments else 0,
        scalar=match["code"].upper() == "SQ8",
        rotated_segments=rotated,
        reduced_dim=reduced,
    )


def _faiss_spelling(factory: str) -> str:
    """The factory string in FAISS's spelling, with numbers without leading zeros."""
    capitals = re.sub(r"\d+", lambda digits: str(int(digits[0])), factory.upper())
    return capitals.replace("FLAT", "Flat").replace("X4FS", "x4fs")


def _within(digits: str | None, least: int, most: int, text: str) -> int:
    """The number in the text, or 0 if there is none."""
    if digits is None:
        return 0
    number = int(digits) if len(digits) < 10 else most + 1
    if not least <= number <= most:
        raise UsageError(f'In the index "{text}", {digits[:12]} is out of range: expected {least} to {most}.')
    return number
