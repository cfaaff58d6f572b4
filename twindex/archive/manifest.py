"""An archive's description of itself.

`manifest.json` is one UTF-8 JSON object: "schema" 1, "created" (ISO 8601, UTC), "twindex" (the version that wrote it),
"gallery" (an object with the fields of `Summary`; "templates" maps fingerprints to counts) and "files" (a list of
objects {"name", "length" in bytes, "sha256" in hex digits}).
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from twindex.errors import ArchiveError
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
        values = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is not valid JSON ({error})") from error
    if _object(values, "the manifest").get("schema") != SCHEMA:
        raise _wrong(f"expected schema {SCHEMA}, got {values.get('schema')!r}; import it with a newer Twindex")
    _keys(values, {"schema", "created", "twindex", "gallery", "files"}, "the manifest")
    if not isinstance(values["files"], list):
        raise _wrong("expected a list of files")
    files = tuple(_file(value) for value in values["files"])
    names = sorted(file.name for file in files)
    if names not in ([DATABASE_ENTRY], sorted((DATABASE_ENTRY, *MODEL_ENTRIES))):
        raise _wrong(
            f"it lists the files {names}; expected {DATABASE_ENTRY}, and the model's files if a model is included"
        )
    texts = [_text(values[name], name) for name in ("created", "twindex")]
    return Manifest(texts[0], texts[1], _summary(values["gallery"]), files)


def _summary(value: Any) -> Summary:
    given = _object(value, "gallery")
    _keys(given, {field.name for field in fields(Summary)}, "gallery")
    numbers = {name: _number(given[name], name) for name in ("schema", "revision", "subjects", "samples", "references")}
    templates = {
        _fingerprint(name): _number(count, "templates")
        for name, count in _object(given["templates"], "templates").items()
    }
    model = None if given["model"] is None else _fingerprint(given["model"])
    return Summary(gallery_id=_text(given["gallery_id"], "gallery_id"), templates=templates, model=model, **numbers)


def _file(value: Any) -> ArchivedFile:
    given = _object(value, "a file")
    _keys(given, {"name", "length", "sha256"}, "a file")
    return ArchivedFile(_text(given["name"], "name"), _number(given["length"], "length"), _fingerprint(given["sha256"]))


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"expected {name} to be an object, got {type(value).__name__}")
    return value


def _keys(values: dict[str, Any], expected: set[str], name: str) -> None:
    if set(values) != expected:
        raise _wrong(
            f"{name} has missing or unknown keys: {', '.join(sorted(map(repr, set(values) ^ expected)))[:200]}"
        )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 255:
        raise _wrong(f"expected {name} to be a printable text of at most 255 characters, got {value!r:.80}")
    return value


def _number(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
        raise _wrong(f"expected {name} to be a whole number from 0, got {value!r:.80}")
    return value


def _fingerprint(value: Any) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise _wrong(f"expected 64 hex digits, got {value!r:.80}")
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _wrong(what: str) -> ArchiveError:
    return ArchiveError(
        "archive_manifest", f"The archive's {MANIFEST_ENTRY} is not what Twindex writes: {what}. Export it again."
    )
