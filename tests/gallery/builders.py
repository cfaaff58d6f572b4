"""Crops, and a stand-in for the network, which is not the subject of these tests."""

import numpy as np

from tests.embedders import StandIn
from tests.storage.builders import DIM, sample
from twindex.embedder.faces.alignment import encode_crop
from twindex.embedder.model.card import Card
from twindex.embedder.model.registry import find_model
from twindex.gallery import Gallery
from twindex.gallery.captures import Capture
from twindex.types import Float32, UInt8


def drawn_crop(number: int) -> UInt8:
    """(256, 256, 3) uint8, coarse coloured squares: nobody's face."""
    squares = np.random.default_rng([number, 4]).integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    return squares.repeat(32, axis=0).repeat(32, axis=1)


class BrightnessEmbedder(StandIn):
    """Templates from the brightness of a crop's squares.

    Args:
        fingerprint: What it passes for.
    """

    dim = DIM

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    @property
    def card(self) -> Card:
        """The shipped model's, whose head and thresholds it passes for having."""
        return find_model("default").card

    def embed(self, crops: UInt8) -> Float32:
        """(n, 16) float32, unit length, of (n, 256, 256, 3) uint8."""
        means = crops.reshape(len(crops), 4, 64, 4, 64, 3).mean(axis=(2, 4, 5)).reshape(len(crops), DIM) - 127.5
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def enrol(gallery: Gallery, number: int, subject: str) -> int:
    """Enrol a drawn crop; returns its reference."""
    (done,) = gallery.commit([Capture(sample(number, crop=encode_crop(drawn_crop(number))), subject)])
    assert done.reference is not None
    return done.reference


def template(gallery: Gallery, reference: int) -> bytes:
    """The stored vector's bytes."""
    _, vectors = gallery.store.references.vectors(gallery.active().fingerprint, [reference])
    return vectors[0].tobytes()
