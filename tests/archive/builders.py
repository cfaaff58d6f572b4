"""A small gallery, and archives that are rewritten with a valid seal, as a stranger could do."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.storage.builders import request
from twindex.archive.directory import SEAL_LENGTH, seal_of
from twindex.config import DATABASE
from twindex.embedder.model.registry import find_model
from twindex.storage import GenerationSpec, Store

Entries = list[tuple[zipfile.ZipInfo, bytes]]


def make_gallery(folder: Path, references: int = 3, *, fingerprint: str | None = None) -> Path:
    """A gallery of the shipped model with so many references, one of them erased again; no network is used."""
    folder.mkdir()
    model = fingerprint or find_model("default").card.fingerprint
    with Store.create(folder / DATABASE, generation=GenerationSpec(model, "Flat")) as store:
        store.references.enroll_many([request(number, f"person {number}") for number in range(references + 1)], model)
        store.subjects.erase("person 0")
    return folder


def read_entries(archive: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [(entry, opened.read(entry)) for entry in opened.infolist()]


def sealed(entries: Entries) -> bytes:
    """An archive of any entries, in order, with a valid seal."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for entry, content in entries:
            opened.writestr(entry, content)
        opened.comment = b"0" * SEAL_LENGTH
    return resealed(stream.getvalue())


def resealed(archive: bytes) -> bytes:
    """The same bytes with a matching seal."""
    return archive[:-SEAL_LENGTH] + seal_of(io.BytesIO(archive))


def with_manifest(archive: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The archive with a changed manifest and a valid seal."""
    entries = read_entries(archive)
    place = [entry.filename for entry, _ in entries].index("manifest.json")
    manifest = json.loads(entries[place][1])
    change(manifest)
    entries[place] = (entries[place][0], json.dumps(manifest).encode())
    return sealed(entries)
