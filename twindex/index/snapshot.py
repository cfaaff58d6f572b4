"""Snapshots: index files that are opened only if they match their record byte for byte.

A snapshot file is the 8 bytes "TWINDEX\\x01", the length of the header as an unsigned 32-bit and of the payload as an
unsigned 64-bit little-endian integer, the header (a JSON object in UTF-8, keys sorted, no spaces: "identity" with the
fields of `SnapshotIdentity`, and "structure", the FAISS factory string), and the payload (FAISS's serialised index).
In an encrypted gallery all of that is sealed (`encryption/sealing.py`), with the identity as in the header as
associated data.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twindex.encryption.sealing import FileSealer
from twindex.errors import IntegrityError, UsageError
from twindex.files.durable import write_file
from twindex.index.faiss_index import FaissIndex
from twindex.index.spec import parse_spec

_MAGIC = b"TWINDEX\x01"
_PREAMBLE = struct.Struct("<8sIQ")
_REMEDY = "`twindex compact` writes a new one from the store."


@dataclass(frozen=True)
class SnapshotIdentity:
    """Which state of which gallery a snapshot holds.

    Attributes:
        gallery_id: The gallery's id.
        generation: The generation's id.
        fingerprint: The fingerprint of the model whose templates are indexed.
        spec_text: The generation's index specification, as the user gave it.
        dim: Length of a template.
        revision: The last change that the index includes.
        count: How many live references it has.
    """

    gallery_id: str
    generation: int
    fingerprint: str
    spec_text: str
    dim: int
    revision: int
    count: int


@dataclass(frozen=True)
class SnapshotFile:
    """What identifies a snapshot file: its length in bytes and its SHA-256 in hex digits."""

    length: int
    sha256: str


def write_snapshot(
    index: FaissIndex, path: Path, identity: SnapshotIdentity, sealer: FileSealer | None = None
) -> SnapshotFile:
    """Write an index to a file, whole or not at all.

    Args:
        index: The index; nothing may change it meanwhile.
        path: The file; if it exists, it is replaced in one step.
        identity: What the index holds; dim and count must be those of the index.
        sealer: Encrypts the file, in an encrypted gallery.

    Returns:
        The record of the file, which `read_snapshot` needs.

    Raises:
        ValueError: The identity does not fit the index.
        OSError: The file cannot be written, for instance because the disk is full; then `path` is unchanged.
        TwindexError: FAISS failed.
    """
    if (identity.dim, identity.count) != (index.dim, index.count):
        raise ValueError(
            f"The snapshot's identity says {identity.count} references of {identity.dim} dimensions, but the index "
            f"has {index.count} of {index.dim}."
        )
    payload = index.serialize()
    header = _header(identity, index.spec.text)
    pieces: Iterable[bytes] = (_PREAMBLE.pack(_MAGIC, len(header), len(payload)), header, payload)
    if sealer is not None:
        pieces = sealer.seal(pieces, _canonical(asdict(identity)))
    digest, length = hashlib.sha256(), 0

    def written() -> Iterator[bytes]:
        nonlocal length
        for piece in pieces:
            digest.update(piece)
            length += len(piece)
            yield piece

    write_file(path, written())
    return SnapshotFile(length, digest.hexdigest())


def read_snapshot(
    path: Path, expected: SnapshotFile, identity: SnapshotIdentity, sealer: FileSealer | None = None
) -> FaissIndex:
    """Open a snapshot if it is exactly the expected one.

    Args:
        path: The file.
        expected: The record made when the file was written.
        identity: What the snapshot must hold.
        sealer: Decrypts the file, in an encrypted gallery.

    Returns:
        The index, equal to the one that was written.

    Raises:
        IntegrityError: The file is missing, unreadable, changed, of another identity, or not an index; the index must
            be rebuilt from the store.
    """
    content = memoryview(_recorded_bytes(path, expected))
    if sealer is not None:
        content = memoryview(sealer.open(content, _canonical(asdict(identity)), path.name))
    structure, payload = _opened(path, content, identity)
    try:
        spec = parse_spec(structure, identity.count)
        spec.check_dim(identity.dim)
    except UsageError as error:
        raise IntegrityError(f"The snapshot {path.name} names an unknown index: {error} {_REMEDY}") from error
    return FaissIndex.deserialize(spec, payload, identity.dim, identity.count)


def _recorded_bytes(path: Path, expected: SnapshotFile) -> bytes:
    """The file's bytes, after comparing their length and SHA-256 with the record."""
    try:
        # Compare the length first, so that a file of enormous size is not read.
        length = path.stat().st_size
        content = path.read_bytes() if length == expected.length else b""
    except OSError as error:
        raise IntegrityError(f"The snapshot {path.name} cannot be read: {error}. {_REMEDY}") from error
    if length != expected.length:
        raise IntegrityError(
            f"The snapshot {path.name} has {length} bytes, expected {expected.length}: it is not the file that was "
            f"written. {_REMEDY}"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != expected.sha256:
        raise IntegrityError(
            f"The snapshot {path.name} has the SHA-256 {found}, expected {expected.sha256}: it was changed. {_REMEDY}"
        )
    return content


def _opened(path: Path, content: memoryview, identity: SnapshotIdentity) -> tuple[str, memoryview]:
    """The structure's factory string and the payload, after comparing the identity."""
    try:
        magic, header_length, payload_length = _PREAMBLE.unpack_from(content)
        payload_start = _PREAMBLE.size + header_length
        header = json.loads(bytes(content[_PREAMBLE.size : payload_start]))
        found, structure = header["identity"], str(header["structure"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"The file {path.name} has no readable snapshot header. {_REMEDY}") from error
    if magic != _MAGIC or payload_start + payload_length != len(content):
        raise IntegrityError(f"The file {path.name} is not a snapshot of this format. {_REMEDY}")
    wanted = asdict(identity)
    if found != wanted:
        raise IntegrityError(f"The snapshot {path.name} is of {found}, expected {wanted}. {_REMEDY}")
    return structure, content[payload_start:]


def _header(identity: SnapshotIdentity, structure: str) -> bytes:
    return _canonical({"identity": asdict(identity), "structure": structure})


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
