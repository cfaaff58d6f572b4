"""Which structure suits a gallery: the rule behind the index "auto", found by measurement (docs/speed.md).

A small gallery is searched exactly. A larger one is searched by codes of 4 bits a sub-vector, with exact distances for
the candidates; every code is compared, so no reference is missed as it could be with cells or a graph. Before coding,
vectors are rotated at random in the space of their principal components, so that all sub-vectors vary equally and no
code is wasted.
"""

import re

from twindex.index.spec import IndexSpec, parse_spec

AUTO = "auto"
EXACT_UP_TO = 50_000  # references
ID_BYTES = 16  # bytes for a reference's id: once in the structure, once in the list of live references
_AUTO = re.compile(r"auto(?:,(?P<megabytes>\d{1,9})MB)?", re.IGNORECASE)


def is_auto(text: str) -> bool:
    """Whether a specification leaves the choice of structure to the rule."""
    return _matched(text) is not None


def auto_spec(text: str, max_megabytes: int | None = None) -> str:
    """A specification "auto" in the form that a generation stores.

    Args:
        text: "auto" or "auto,<n>MB" in any spelling.
        max_megabytes: A limit to the index's memory that replaces the one in the text.
    """
    limit = max_megabytes or _budget(text)
    return AUTO if limit is None else f"{AUTO},{limit}MB"


def chosen_spec(text: str, count: int, dim: int) -> IndexSpec:
    """The structure for a specification, given the number of references and the length of a template.

    Args:
        text: As for `parse_spec`, or "auto", or "auto,<n>MB" with a limit to the memory of codes and ids. If no
            structure is small enough, the smallest is used, so that a gallery that outgrows its limit still answers.
        count: References that the index will hold.
        dim: Length of a template.

    Raises:
        UsageError: The text is not a specification.
    """
    if not is_auto(text):
        return parse_spec(text, count)
    suitable = [spec for spec in _choices(dim) if spec.text != "Flat" or count <= EXACT_UP_TO] or _choices(dim)
    budget = _budget(text)
    fitting = [spec for spec in suitable if budget is None or _megabytes(spec, count, dim) <= budget]
    return fitting[0] if fitting else suitable[-1]


def shortage(text: str, count: int, dim: int) -> str:
    """A sentence that says that a specification allows too little memory; empty if it allows enough."""
    budget = _budget(text)
    if budget is None:
        return ""
    needed = _megabytes(chosen_spec(text, count, dim), count, dim)
    if needed <= budget:
        return ""
    return f"{count} references need at least {needed} MB for an index, {budget} MB were allowed."


def _matched(text: str) -> re.Match[str] | None:
    return _AUTO.fullmatch("".join(text.split()))


def _budget(text: str) -> int | None:
    """The memory limit in an "auto" specification, if it has one."""
    match = _matched(text)
    return None if match is None or match["megabytes"] is None else int(match["megabytes"])


def _megabytes(spec: IndexSpec, count: int, dim: int) -> int:
    """Memory for codes and ids, rounded up."""
    code = -(-spec.segments // 2) if spec.segments else 4 * dim
    return -(-count * (code + ID_BYTES) // 1_000_000)


def _choices(dim: int) -> list[IndexSpec]:
    """The structures to choose from: exact, then quantised ever more coarsely."""
    quantised = [f"PCAR{dim},PQ{dim // part}x4fs" for part in (2, 4) if dim % part == 0 and 1 <= dim // part <= 256]
    return [parse_spec(text, 0) for text in ("Flat", *quantised)]
