"""Which structure suits a gallery: the index "auto", by a rule that was measured (docs/speed.md).

Exact search while it takes little time; above, codes of 4 bits a sub-vector, all of them compared, with exact distances
for the candidates. No cell is missed, and no graph loses its way. Vectors are turned at random among their principal
components before they are coded, so that every sub-vector varies as much and no code is wasted on one that does not.
"""

import re

from twindex.index.spec import IndexSpec, parse_spec

AUTO = "auto"
EXACT_UP_TO = 50_000  # references
ID_BYTES = 16  # of a reference: in the structure, and among the live ones
_AUTO = re.compile(r"auto(?:,(?P<megabytes>\d{1,9})MB)?", re.IGNORECASE)


def is_auto(text: str) -> bool:
    """Whether a specification leaves the choice to the rule."""
    return _matched(text) is not None


def auto_spec(text: str, max_megabytes: int | None = None) -> str:
    """A specification "auto" as a generation keeps it.

    Args:
        text: "auto" or "auto,<n>MB" in any spelling.
        max_megabytes: Another limit to the index's memory than the text's.
    """
    limit = max_megabytes or _budget(text)
    return AUTO if limit is None else f"{AUTO},{limit}MB"


def chosen_spec(text: str, count: int, dim: int) -> IndexSpec:
    """The structure for a specification, a number of references and a length of template.

    Args:
        text: As for `parse_spec`, or "auto", or "auto,<n>MB" with a limit to the memory of codes and ids. Where nothing
            is small enough it is the smallest there is: a gallery that outgrows its limit goes on answering.
        count: References that the index will hold.
        dim: Length of a template.

    Raises:
        UsageError: It is no specification.
    """
    if not is_auto(text):
        return parse_spec(text, count)
    suitable = [spec for spec in _choices(dim) if spec.text != "Flat" or count <= EXACT_UP_TO] or _choices(dim)
    budget = _budget(text)
    fitting = [spec for spec in suitable if budget is None or _megabytes(spec, count, dim) <= budget]
    return fitting[0] if fitting else suitable[-1]


def shortage(text: str, count: int, dim: int) -> str:
    """What is wrong with the memory that a specification allows, as a sentence; empty where it suffices."""
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
    """The limit of an "auto" that has one."""
    match = _matched(text)
    return None if match is None or match["megabytes"] is None else int(match["megabytes"])


def _megabytes(spec: IndexSpec, count: int, dim: int) -> int:
    """Of codes and ids, rounded up."""
    code = -(-spec.segments // 2) if spec.segments else 4 * dim
    return -(-count * (code + ID_BYTES) // 1_000_000)


def _choices(dim: int) -> list[IndexSpec]:
    """Exact, then quantised ever more coarsely."""
    quantised = [f"PCAR{dim},PQ{dim // part}x4fs" for part in (2, 4) if dim % part == 0 and 1 <= dim // part <= 256]
    return [parse_spec(text, 0) for text in ("Flat", *quantised)]
