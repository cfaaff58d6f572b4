"""An evaluation's report: a folder with `report.json`, plots, pictures of the worst errors, and a page of them all."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from twindex.embedder.faces.alignment import decode_crop
from twindex.errors import PhotoError, UsageError
from twindex.types import Sample

FACE = 112  # edge of a picture in pixels
ReadFace = Callable[[Path], Sample | PhotoError]
_STYLE = """body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 72em; color: #1c1e22 }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: left; border-bottom: 1px solid #ddd }
figure { display: inline-block; margin: .6em 1em .6em 0 } figcaption { font-size: 12px; color: #555; max-width: 20em }
.faces img { width: 112px; height: 112px; background: #eee }"""


@dataclass(frozen=True)
class Comparison:
    """Two photos shown side by side with a caption."""

    first: Path
    second: Path
    caption: str


@dataclass(frozen=True)
class Page:
    """What a report shows.

    Attributes:
        title: Of the page.
        values: The result; written as `report.json` too.
        plots: (file name, caption) of plots in the folder.
        errors: Headings, each with its comparisons.
        failures: (photo, error code) of photos without a usable face.
    """

    title: str
    values: dict[str, Any]
    plots: Sequence[tuple[str, str]]
    errors: Sequence[tuple[str, Sequence[Comparison]]]
    failures: Sequence[tuple[Path, str]]


def new_folder(folder: Path) -> None:
    """Make the folder of a report.

    Args:
        folder: New, empty, or that of an earlier report, which is overwritten.

    Raises:
        UsageError: It holds something that is not a report.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "report.json").exists())):
        raise UsageError(f"{folder} holds something other than a report; choose another --report.")
    folder.mkdir(parents=True, exist_ok=True)


def write_page(folder: Path, page: Page, read_face: ReadFace) -> Path:
    """Write `index.html` and what it shows into an existing folder.

    Args:
        folder: Of the report.
        page: What to show.
        read_face: Finds the compared face of a photo again, to write it as a picture.

    Returns:
        The file `index.html`.
    """
    (folder / "report.json").write_text(json.dumps(page.values, indent=2, allow_nan=False) + "\n", "utf-8")
    pictures = folder / "faces"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    title = html.escape(page.title)
    parts = [f"<h1>{title}</h1>", _table(page.values), _figures(page.plots)]
    for number, (heading, comparisons) in enumerate(page.errors):
        parts.append(f"<h2>{html.escape(heading)}</h2>" + ("" if comparisons else "<p>None.</p>"))
        for place, comparison in enumerate(comparisons):
            names = [f"{number}-{place}-{side}.png" for side in ("a", "b")]
            for name, photo in zip(names, (comparison.first, comparison.second), strict=True):
                _draw_face(read_face(photo), pictures / name)
            parts.append(_comparison(names, comparison))
    parts.append(_failures(page.failures))
    file = folder / "index.html"
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    file.write_text(head + "\n".join(parts) + "\n", "utf-8", errors="backslashreplace")
    return file


def _failures(failures: Sequence[tuple[Path, str]]) -> str:
    rows = "".join(f"<tr><td>{html.escape(str(path))}<td>{html.escape(code)}" for path, code in failures)
    return f"<h2>Failures to enrol: {len(failures)}</h2><table>{rows}</table>"


def _table(values: dict[str, Any]) -> str:
    rows = [(name, value) for name, value in values.items() if not _is_nested(value)]
    rows += [
        (f"{name}: {key}", part) for name, value in values.items() if _is_nested(value) for key, part in value.items()
    ]
    cells = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(_plain(value))}" for name, value in rows)
    return f"<table>{cells}</table>"


def _is_nested(value: Any) -> bool:
    """Whether a value needs a row for each of its parts."""
    return isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, dict):
        return ", ".join(f"{_plain(part)} ({name})" for name, part in value.items())
    return " to ".join(_plain(part) for part in value) if isinstance(value, list) else str(value)


def _figures(plots: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f'<figure><img src="{name}" alt=""><figcaption>{html.escape(caption)}</figcaption></figure>'
        for name, caption in plots
    )


def _comparison(names: Sequence[str], comparison: Comparison) -> str:
    images = "".join(f'<img src="faces/{name}" alt="">' for name in names)
    shown = " and ".join(f"{photo.parent.name}/{photo.name}" for photo in (comparison.first, comparison.second))
    caption = f"{html.escape(comparison.caption)}<br>{html.escape(shown)}"
    return f'<figure class="faces">{images}<figcaption>{caption}</figcaption></figure>'


def _draw_face(sample: Sample | PhotoError, file: Path) -> None:
    """The face that was compared, or an empty square."""
    face = (
        Image.new("RGB", (FACE, FACE), (238, 238, 238))
        if isinstance(sample, PhotoError)
        else Image.fromarray(decode_crop(sample.crop)).resize((FACE, FACE), Image.Resampling.LANCZOS)
    )
    face.save(file, "PNG")
