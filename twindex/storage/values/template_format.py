"""How vectors and crops are stored, and how damage to them is detected.

Template: `dim` little-endian float32 values in C order, with a SHA-256 over the reference id as 8 little-endian
bytes, the fingerprint in ASCII and the vector's bytes. Crop: the encoded image, unchanged, with its SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from twindex.errors import IntegrityError

if TYPE_CHECKING:
    from twindex.types import Float32

_UNIT_TOLERANCE = 1e-3


def checked_fingerprint(fingerprint: str) -> str:
    """The fingerprint, unchanged, after a check.

    Raises:
        ValueError: If it is empty or not ASCII, so that it cannot be hashed.
    """
    if not fingerprint or not fingerprint.isascii():
        raise ValueError(f"Expected a model fingerprint in ASCII, got {fingerprint!r}; take it from the model card.")
    return fingerprint


def vector_bytes(vector: Float32) -> bytes:
    """The stored form of one template.

    Args:
        vector: (dim,) float32, unit length.

    Returns:
        `dim` little-endian float32 values.

    Raises:
        ValueError: If the shape or type is wrong, a value is not finite, or the vector is not of unit length.
    """
    import numpy as np

    if vector.ndim != 1 or vector.size == 0 or vector.dtype != np.float32:
        raise ValueError(f"Expected a (dim,) float32 vector, got shape {vector.shape}, type {vector.dtype}.")
    if not np.isfinite(vector).all():
        raise ValueError("Expected finite values, got NaN or infinity in a template; the embedder has failed.")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if abs(norm - 1.0) > _UNIT_TOLERANCE:
        raise ValueError(f"Expected a vector of length 1, got {norm:.6g}; divide the template by its norm.")
    return vector.astype("<f4").tobytes()


def template_sha256(reference: int, fingerprint: str, stored: bytes) -> bytes:
    """The hash that binds a stored vector to its reference and its model."""
    digest = hashlib.sha256(reference.to_bytes(8, "little"))
    digest.update(fingerprint.encode("ascii"))
    digest.update(stored)
    return digest.digest()


def template_is_sound(reference: int, fingerprint: str, stored: bytes, sha256: bytes) -> bool:
    """Whether a row still holds the bytes that were written."""
    return bool(stored) and len(stored) % 4 == 0 and template_sha256(reference, fingerprint, stored) == sha256


def stacked_vectors(fingerprint: str, rows: list[tuple[int, bytes, bytes]]) -> Float32:
    """Stored rows as one matrix.

    Args:
        fingerprint: The model of all rows.
        rows: Reference id, stored vector and stored hash of each.

    Returns:
        (n, dim) float32; (0, 0) for no rows.

    Raises:
        IntegrityError: If a row was changed after it was written; the message names its reference.
    """
    import numpy as np

    for reference, stored, sha256 in rows:
        if not template_is_sound(reference, fingerprint, stored, sha256):
            raise IntegrityError(
                f"The template of reference {reference} is damaged: its SHA-256 differs from the stored one; "
                "run `twindex doctor --repair`."
            )
    lengths = {len(stored) for _, stored, _ in rows}
    if len(lengths) > 1:
        raise IntegrityError(
            f"Templates of model {fingerprint} have different lengths {sorted(lengths)} in bytes, expected one; "
            "run `twindex doctor`."
        )
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    joined = b"".join(stored for _, stored, _ in rows)
    return np.frombuffer(joined, dtype="<f4").astype(np.float32).reshape(len(rows), -1)


def crop_sha256(crop: bytes) -> bytes:
    """The hash of a crop's bytes."""
    return hashlib.sha256(crop).digest()


def crop_is_sound(crop: object, sha256: bytes | None) -> bool:
    """Whether a sample still holds the crop that was written, or holds none if none was kept."""
    return (crop_sha256(crop) if isinstance(crop, bytes) else crop) == sha256


def checked_crop(reference: int, crop: bytes | None, sha256: bytes | None) -> bytes | None:
    """The crop, unchanged, after a check; None if none was kept.

    Raises:
        IntegrityError: If the bytes were changed after they were written; the message names the reference.
    """
    if not crop_is_sound(crop, sha256):
        raise IntegrityError(
            f"The crop of reference {reference} is damaged: its SHA-256 differs from the stored one; "
            "enrol the same photo again, which replaces it."
        )
    return crop
