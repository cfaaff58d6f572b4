"""An archive's description of itself.

`manifest.json` is one UTF-8 JSON object: "schema" 1, "created" (ISO 8601, UTC), "twindex" (the version that wrote it),
"gallery" (an object with the fields of `Summary`; "templates" maps fingerprints to counts) and "files" (a list of
objects {"name", "length" in bytes, "sha256" in hex digits}).
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from twindex.errors import ArchiveError
from twindex.files.typed_values import WrongValueError, check_keys, decode_json, read_as
from twindex.storage import Summary

SCHEMA = 1
MANIFEST_ENTRY = "manifest.json"
DATABASE_ENTRY = "gallery.sqlite"
MODEL_ENTRIES = ("model/card.json", "model/weights.safetensors")
LARGEST_MANIFEST = 1 << 20

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class ArchivedFile:
    """One file of an archive: its name there, its length in bytes and its SHA-256 as hex digits."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """An archive's description of itself.

    Attributes:
        created: When it was written, ISO 8601, UTC.
        twindex: The version that wrote it.
        summary: The gallery's database in numbers.
        files: All files but the manifest: the database, and the model's files if a model is included.
    """

    created: str
    twindex: str
    summary: Summary
    files: tuple[ArchivedFile, ...]

    @property
    def holds_model(self) -> bool:
        return any(file.name in MODEL_ENTRIES for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `manifest.json` holds them."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "twindex": self.twindex,
            "gallery": asdict(self.summary),
            "files": [asdict(file) for file in self.files],
        }


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`."""
    return json.dumps(manifest.to_json(), indent=2, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def decode_manifest(content: bytes) -> Manifest:
    """Read a manifest that `encode_manifest` wrote.

    Args:
        content: Any bytes.

    Raises:
        ArchiveError: The content is not a manifest, has another schema, or lists files that an archive cannot hold.
    """
    try:
        values = decode_json(content)
    except ValueError as error:
        raise _wrong(f"it is not valid JSON ({error})") from error
    try:
        return _manifest(read_as(values, dict[str, Any], "the manifest"))
    except WrongValueError as error:
        raise _wrong(str(error)) from error


def _manifest(values: dict[str, Any]) -> Manifest:
    if values.get("schema") != SCHEMA:
        raise _wrong(f"expected schema {SCHEMA}, got {values.get('schema')!r:.80}; import it with a newer Twindex")
    check_keys(values, {"schema", "created", "twindex", "gallery", "files"}, "the manifest")
    manifest = Manifest(
        created=read_as(values["created"], str, "created"),
        twindex=read_as(values["twindex"], str, "twindex"),
        summary=read_as(values["gallery"], Summary, "gallery"),
        files=read_as(values["files"], tuple[ArchivedFile, ...], "files"),
    )
    _check_ranges(manifest)
    return manifest


def _check_ranges(manifest: Manifest) -> None:
    summary, files = manifest.summary, manifest.files
    for text in (manifest.created, manifest.twindex, summary.gallery_id, *(file.name for file in files)):
        if not text.isprintable() or len(text) > 255:
            raise _wrong(f"expected printable texts of at most 255 characters, got {text!r:.80}")
    counts = (summary.schema, summary.revision, summary.subjects, summary.samples, summary.references)
    for number in (*counts, *summary.templates.values(), *(file.length for file in files)):
        if not 0 <= number <= _LARGEST_NUMBER:
            raise _wrong(f"expected whole numbers from 0, got {number!r:.80}")
    fingerprints = [*summary.templates, *([] if summary.model is None else [summary.model])]
    for digest in (*fingerprints, *(file.sha256 for file in files)):
        if not _DIGEST.fullmatch(digest):
            raise _wrong(f"expected 64 hex digits, got {digest!r:.80}")
    names = sorted(file.name for file in files)
    if names not in ([DATABASE_ENTRY], sorted((DATABASE_ENTRY, *MODEL_ENTRIES))):
        raise _wrong(
            f"it lists the files {names}; expected {DATABASE_ENTRY}, and the model's files if a model is included"
        )


def _wrong(what: str) -> ArchiveError:
    return ArchiveError(
        "archive_manifest", f"The archive's {MANIFEST_ENTRY} is not what Twindex writes: {what}. Export it again."
    )
