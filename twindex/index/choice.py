"""Which structure suits a gallery: the index "auto", by a rule that was measured (docs/speed.md).

Exact search while it takes little time; above, codes of 4 bits a sub-vector, all of them compared, with exact distances
for the candidates. Up to ten million references that is faster than cells or graphs and keeps more.
"""

import re

from twindex.errors import UsageError
from twindex.index.spec import IndexSpec, parse_spec

AUTO = "auto"
EXACT_UP_TO = 50_000  # references
ID_BYTES = 16  # of a reference: in the structure, and among the live ones
_AUTO = re.compile(r"auto(?:,(?P<megabytes>\d{1,9})MB)?", re.IGNORECASE)


def auto_spec(max_megabytes: int | None) -> str:
    """The specification "auto", as a generation keeps it, with a limit to the index's memory."""
    return AUTO if max_megabytes is None else f"{AUTO},{max_megabytes}MB"


def is_auto(text: str) -> bool:
    """Whether a specification leaves the choice to the rule."""
    return _AUTO.fullmatch("".join(text.split())) is not None


def chosen_spec(text: str, count: int, dim: int) -> IndexSpec:
    """The structure for a specification, a number of references and a length of template.

    Args:
        text: As for `parse_spec`, or "auto", or "auto,<n>MB" with a limit to the memory of codes and ids.
        count: References that the index will hold.
        dim: Length of a template.

    Raises:
        UsageError: It is no specification, or no structure is small enough.
    """
    match = _AUTO.fullmatch("".join(text.split()))
    if match is None:
        return parse_spec(text, count)
    suitable = [spec for spec in _choices(dim) if spec.text != "Flat" or count <= EXACT_UP_TO] or _choices(dim)
    if match["megabytes"] is None:
        return suitable[0]
    budget = int(match["megabytes"]) * 1_000_000
    for spec in suitable:
        if count * (_code_bytes(spec, dim) + ID_BYTES) <= budget:
            return spec
    least = min(_code_bytes(spec, dim) for spec in suitable) + ID_BYTES
    raise UsageError(
        f"{count} references need at least {-(-count * least // 1_000_000)} MB for an index; {match['megabytes']} MB "
        "were allowed. Raise --max-index-memory."
    )


def _choices(dim: int) -> list[IndexSpec]:
    """Exact, then quantised ever more coarsely."""
    quantised = [f"PQ{dim // part}x4fs" for part in (2, 4) if dim % part == 0 and 1 <= dim // part <= 256]
    return [parse_spec(text, 0) for text in ("Flat", *quantised)]


def _code_bytes(spec: IndexSpec, dim: int) -> int:
    """Of one reference; 4 bits a sub-vector."""
    return -(-spec.segments // 2) if spec.segments else 4 * dim
