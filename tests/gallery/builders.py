"""Crops, and a stand-in for the network, which is not the subject of these tests."""

from collections.abc import Sequence

import numpy as np

from tests.storage.builders import DIM, sample
from twindex.embedder.faces.alignment import decode_crops, encode_crop
from twindex.gallery import Gallery
from twindex.types import Float32, Sample, UInt8


def drawn_crop(number: int) -> UInt8:
    """(256, 256, 3) uint8, coarse coloured squares: nobody's face."""
    squares = np.random.default_rng([number, 4]).integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    return squares.repeat(32, axis=0).repeat(32, axis=1)


class BrightnessEmbedder:
    """Templates from the brightness of a crop's squares.

    Args:
        fingerprint: What it passes for.
    """

    dim = DIM

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def embed(self, crops: UInt8) -> Float32:
        """(n, 16) float32, unit length, of (n, 256, 256, 3) uint8."""
        means = crops.reshape(len(crops), 4, 64, 4, 64, 3).mean(axis=(2, 4, 5)).reshape(len(crops), DIM) - 127.5
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    def embed_samples(self, samples: Sequence[Sample]) -> Float32:
        return self.embed_kept([sample.crop for sample in samples])

    def embed_kept(self, crops: Sequence[bytes]) -> Float32:
        return self.embed(decode_crops(crops))


def enrol(gallery: Gallery, number: int, subject: str) -> int:
    """Enrol a drawn crop; returns its reference."""
    (done,) = gallery.enroll([(sample(number, crop=encode_crop(drawn_crop(number))), subject, None)])
    assert done.reference is not None
    return done.reference


def template(gallery: Gallery, reference: int) -> bytes:
    """The stored vector's bytes."""
    _, vectors = gallery.store.references.vectors(gallery.active().fingerprint, [reference])
    return vectors[0].tobytes()
