"""An evaluation's report: a folder with `report.json`, plots, pictures of the worst errors and a page showing all."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.faces.reader import FaceReader
from twindex.errors import PhotoError, UsageError
from twindex.evaluation.capture import capture_one

FACE = 112  # pixels of a picture's edge
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


def new_folder(folder: Path) -> None:
    """Make the folder of a report.

    Args:
        folder: New, empty, or of an earlier report, which is written over.

    Raises:
        UsageError: There is something in it that is not a report.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "report.json").exists())):
        raise UsageError(f"{folder} holds something else than a report; choose another --report.")
    folder.mkdir(parents=True, exist_ok=True)


def write_page(
    folder: Path,
    title: str,
    values: dict[str, Any],
    plots: Sequence[tuple[str, str]],
    errors: Sequence[tuple[str, Sequence[Comparison]]],
    failures: Sequence[tuple[Path, str]],
    reader: FaceReader,
    *,
    pre_cropped: bool = False,
) -> Path:
    """Write `index.html` and what it shows into an existing folder.

    Args:
        folder: Of the report.
        title: Of the page.
        values: The result; written as `report.json` too.
        plots: (file name, caption) of plots in the folder.
        errors: Headings with the comparisons below them; their faces are found again and written as pictures.
        failures: (photo, error code) of photos without a usable face.
        reader: Finds the faces.
        pre_cropped: Whether each photo is one aligned face already.

    Returns:
        The page.
    """
    (folder / "report.json").write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", "utf-8")
    pictures = folder / "faces"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    parts = [f"<h1>{html.escape(title)}</h1>", _table(values), _figures(plots)]
    for number, (heading, comparisons) in enumerate(errors):
        parts.append(f"<h2>{html.escape(heading)}</h2>" + ("" if comparisons else "<p>None.</p>"))
        for place, comparison in enumerate(comparisons):
            names = [f"{number}-{place}-{side}.png" for side in ("a", "b")]
            for name, photo in zip(names, (comparison.first, comparison.second), strict=True):
                _draw_face(photo, pictures / name, reader, pre_cropped=pre_cropped)
            parts.append(_comparison(names, comparison))
    rows = "".join(f"<tr><td>{html.escape(str(path))}<td>{html.escape(code)}" for path, code in failures)
    parts.append(f"<h2>Failures to enrol: {len(failures)}</h2><table>{rows}</table>")
    page = folder / "index.html"
    head = f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    page.write_text(head + "\n".join(parts) + "\n", "utf-8", errors="backslashreplace")
    return page


def _table(values: dict[str, Any]) -> str:
    rows = [(name, value) for name, value in values.items() if not _is_nested(value)]
    rows += [
        (f"{name}: {key}", one) for name, value in values.items() if _is_nested(value) for key, one in value.items()
    ]
    cells = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(_plain(value))}" for name, value in rows)
    return f"<table>{cells}</table>"


def _is_nested(value: Any) -> bool:
    """Whether a value is a table of its own."""
    return isinstance(value, dict) and any(isinstance(one, dict) for one in value.values())


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, dict):
        return ", ".join(f"{_plain(one)} ({name})" for name, one in value.items())
    return " to ".join(_plain(one) for one in value) if isinstance(value, list) else str(value)


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


def _draw_face(photo: Path, file: Path, reader: FaceReader, *, pre_cropped: bool) -> None:
    """The face that was compared; an empty square where there is none."""
    sample = capture_one(photo, reader, pre_cropped=pre_cropped)
    face = (
        Image.new("RGB", (FACE, FACE), (238, 238, 238))
        if isinstance(sample, PhotoError)
        else Image.fromarray(decode_crop(sample.crop)).resize((FACE, FACE), Image.Resampling.LANCZOS)
    )
    face.save(file, "PNG")
