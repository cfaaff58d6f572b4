"""What commands print: data on stdout, talk on stderr, names made harmless, progress bars only on a terminal."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from twindex.config import Settings

if TYPE_CHECKING:
    from tqdm import tqdm

_NEARLY_ONE = 0.9995
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """`text` with control, format and bidirectional characters and lone surrogates shown as escapes."""
    return "".join(_escape(one) if unicodedata.category(one) in _HARMFUL else one for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def probability_text(probability: float) -> str:
    """A probability in three decimals; in six where they would show 1: thresholds of large galleries lie there."""
    return f"{probability:.{3 if probability < _NEARLY_ONE else 6}f}"


def say(text: str) -> None:
    """One line of talk, on stderr; where nobody can be told, what was asked for is done all the same."""
    with suppress(OSError):
        click.echo(printable(text), err=True)


def emit(value: Any) -> None:
    """One JSON value on one line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=True, allow_nan=False))


def show(settings: Settings, value: Any, lines: Iterable[str]) -> None:
    """A result: `value` where JSON is asked for, else `lines` for people."""
    if settings.json:
        emit(value)
        return
    for line in lines:
        click.echo(printable(line))


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Left-aligned columns of text, numbers right-aligned."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    right = [
        all(isinstance(row[column], int | float) for row in rows) and bool(rows) for column in range(len(headings))
    ]

    def line(parts: Sequence[str]) -> str:
        padded = [
            part.rjust(width) if is_right else part.ljust(width)
            for part, width, is_right in zip(parts, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return [line(list(headings)), line(["-" * width for width in widths]), *(line(row) for row in cells)]


def several_faces(photo: object, rivals: int) -> str:
    """The note about a photo that may be meant to show somebody else; what was done with the one chosen follows."""
    return f"note: {photo} shows {rivals + 1} large faces; the most prominent one is"


def progress(total: int, unit: str, label: str) -> "tqdm[Any]":
    """A progress bar with rate and time left; silent unless stderr is a terminal."""
    from tqdm import tqdm

    # None disables it where there is no terminal.
    disable = True if sys.stderr is None else None
    return tqdm(total=total, unit=unit, desc=label, file=sys.stderr, disable=disable, dynamic_ncols=True)


def counting(bar: "tqdm[Any]") -> Callable[[int], None]:
    """A listener that moves a bar on by as many as it is told."""

    def count(done: int) -> None:
        bar.update(done)

    return count


def above_bar(text: str, *, talk: bool = False) -> None:
    """A line above a running progress bar: on stdout, or on stderr where it is talk."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        if talk:
            say(text)
        else:
            click.echo(printable(text))
