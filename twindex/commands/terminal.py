"""What commands print: data on stdout, talk on stderr, names made harmless, progress bars only on a terminal."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from twindex.config import Settings

if TYPE_CHECKING:
    from tqdm import tqdm

_NEARLY_ONE = 0.9995
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """`text` with control, format and bidirectional characters and lone surrogates shown as escapes."""
    return "".join(_escape(letter) if unicodedata.category(letter) in _HARMFUL else letter for letter in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def probability_text(probability: float) -> str:
    """A probability with three decimals; with six near 1, where the thresholds of large galleries lie."""
    return f"{probability:.{3 if probability < _NEARLY_ONE else 6}f}"


def say(text: str) -> None:
    """One line of talk on stderr; a closed stderr does not stop the command."""
    with suppress(OSError):
        click.echo(printable(text), err=True)


def emit(value: Any) -> None:
    """One JSON value on one line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=True, allow_nan=False))


def show(settings: Settings, value: Any, lines: Iterable[str]) -> None:
    """A result: `value` if JSON was asked for, else `lines` for people."""
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
    """The start of a note that a photo shows rivals of the face chosen; the caller adds what was done with it."""
    return f"note: {photo} shows {rivals + 1} large faces; the most prominent one is"


def progress(total: int, unit: str, label: str) -> "tqdm[Any]":
    """A progress bar with rate and time left; silent unless stderr is a terminal."""
    from tqdm import tqdm

    # None disables the bar unless stderr is a terminal.
    disable = True if sys.stderr is None else None
    return tqdm(total=total, unit=unit, desc=label, file=sys.stderr, disable=disable, dynamic_ncols=True)


def counting(bar: "tqdm[Any]") -> Callable[[int], None]:
    """A listener that advances a bar by the number it is given."""

    def count(done: int) -> None:
        bar.update(done)

    return count


@contextmanager
def progress_listener(unit: str, label: str) -> Iterator[Callable[[int, int], None]]:
    """A listener for (done, total); the progress bar appears with its first call."""
    with ExitStack() as stack:
        bar: tqdm[Any] | None = None

        def listen(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(progress(total, unit, label))
            bar.total = total
            bar.update(done - bar.n)

        yield listen


def above_bar(text: str, *, talk: bool = False) -> None:
    """A line above a running progress bar: on stdout, or on stderr if it is talk."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        if talk:
            say(text)
        else:
            click.echo(printable(text))
