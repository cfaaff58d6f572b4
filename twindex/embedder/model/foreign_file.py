"""What a file of unknown origin really is. Its first bytes decide, never its name; no code in it is run."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

from twindex.errors import ForeignFileError

Kind = Literal["hdf5", "zip", "pickle", "safetensors", "text", "unknown"]
WEIGHTS = "Give a .npz file of folded InceptionV3 weights, a .weights.h5 file of Keras' InceptionV3, or a model bundle."
BUNDLE = "Give the folder that `twindex train` wrote: card.json and weights.safetensors."

_HEAD = 512
_LARGEST_CONFIG = 16 << 20
_MOST_ENTRIES = 10_000
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Layers that contain a program, or name one to be imported.
_PROGRAMS = ("Lambda", "TFOpLambda", "SlicingOpLambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer")


def kind_of(head: bytes) -> Kind:
    """What a file is by its first bytes: 512 of them, or all if the file is shorter."""
    if head.startswith(_HDF5):
        return "hdf5"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    # Protocols 2 to 5; a pickle of an older protocol is plain text.
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The last character may be cut off.
        if len(head) < _HEAD or error.start < len(head) - 3:
            return "unknown"
    return "unknown" if b"\0" in head else "text"


def kind_of_file(file: Path) -> Kind:
    """What a file is by its first bytes.

    Raises:
        ForeignFileError: It is not a regular file; reading a pipe would block for ever.
    """
    if not file.is_file():
        raise ForeignFileError("not_weights", f"{file} is not a file. {WEIGHTS}")
    with file.open("rb") as opened:
        return kind_of(opened.read(_HEAD))


def refusal(file: Path, remedy: str) -> ForeignFileError:
    """The error for a file that is neither a model nor weights.

    Args:
        file: A regular file.
        remedy: What to give instead; `WEIGHTS` or `BUNDLE`.
    """
    kind = kind_of_file(file)
    if kind == "pickle":
        return _pickled(file, remedy)
    if kind == "zip":
        return _refused_zip(file, remedy)
    if kind == "hdf5":
        return ForeignFileError("not_weights", f"{file} is an HDF5 file, not what is expected here. {remedy}")
    what = {"text": "a text file", "safetensors": "a safetensors file"}.get(kind, "of an unknown kind")
    return ForeignFileError(
        "not_weights", f"{file} is {what}: neither a model nor weights that can be used alone. {remedy}"
    )


def _pickled(file: Path, remedy: str) -> ForeignFileError:
    return ForeignFileError(
        "pickled", f"{file} holds a pickle: reading it would run any program that its maker put there. {remedy}"
    )


def _refused_zip(file: Path, remedy: str) -> ForeignFileError:
    """The error for a zip file: a saved Keras network, a torch file with a pickle, or something else."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()[:_MOST_ENTRIES]}
            if any(name.endswith((".pkl", ".pickle")) for name in entries):
                return _pickled(file, remedy)
            config = entries.get("config.json")
            if config is None or config.file_size > _LARGEST_CONFIG:
                return ForeignFileError("not_weights", f"{file} is a zip file without known weights. {remedy}")
            with archive.open(config) as opened:
                programs = _programs(json.loads(opened.read(_LARGEST_CONFIG)))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, zlib.error) as error:
        return ForeignFileError("not_weights", f"{file} is a damaged zip file ({error}). {remedy}")
    if programs:
        return ForeignFileError(
            "runs_code",
            f"{file} is a saved network with {', '.join(programs)}: it would run its maker's program. {remedy}",
        )
    return ForeignFileError(
        "not_weights", f"{file} is a whole saved network, but only its weights are needed (`save_weights`). {remedy}"
    )


def _programs(config: Any) -> list[str]:
    """The kinds of layers in a saved network that would run a program."""
    found: set[str] = set()
    remaining = [config]
    while remaining:
        part = remaining.pop()
        if isinstance(part, dict):
            kind = part.get("class_name")
            if isinstance(kind, str) and kind in (*_PROGRAMS, "__lambda__"):
                found.add(kind.strip("_"))
            remaining.extend(part.values())
        elif isinstance(part, list):
            remaining.extend(part)
    return sorted(found)
