"""A folder of compiled networks, which can be deleted at any time.

Each file holds the SHA-256 (32 bytes) of the rest, then the bytes of OpenVINO's `CompiledModel.export_model`.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np

from twindex.files.durable import write_file
from twindex.types import UInt8

_DIGEST_BYTES = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


def read_blob(path: Path) -> UInt8 | None:
    """What was written to `path`, or None if there is nothing usable; a damaged file is discarded.

    Args:
        path: A file in the cache folder, which need not exist.

    Returns:
        (bytes,) uint8, read-only.
    """
    try:
        stored = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("Cannot read the compiled network %s (%s); compiling it again.", path, error)
        return None
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(content.data).digest() != digest.tobytes():
        discard_blob(path, "its SHA-256 differs")
        return None
    content.flags.writeable = False
    return content


def write_blob(path: Path, content: bytes | memoryview) -> None:
    """Keep a compiled network. A folder that cannot be written costs the next start time, and nothing else.

    Args:
        path: Where to; the folder is made if missing. Readers see the whole file or none.
        content: The exported network.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, (hashlib.sha256(content).digest(), content))
    except OSError as error:
        _log.warning("Cannot keep the compiled network in %s (%s); it will be compiled at each start.", path, error)


def discard_blob(path: Path, reason: str) -> None:
    """Remove a blob that is of no use."""
    _log.warning("Discarding the compiled network %s: %s.", path, reason)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("Cannot remove %s (%s).", path, error)
