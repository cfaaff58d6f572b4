"""A stand-in for the network, and drawn photos for it: what is tested here is what happens around them."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.alignment import decode_crop, encode_crop, pre_cropped
from twindex.embedder.model.bundle import CARD_FILE, WEIGHTS_FILE, Bundle
from twindex.embedder.model.registry import find_model
from twindex.embedder.photos.decoding import decode
from twindex.types import Float32, UInt8

DIM = 128  # of the shipped model, whose card is the real one
_ROWS, _COLUMNS = 16, 8


@cache
def photo_bytes(number: int) -> bytes:
    """A PNG of 64 x 64 px: grey rectangles, one for each component of a template, with noise. Nobody's face.

    Without the noise, long runs of bytes would be the same in the crops of all photos.
    """
    random = np.random.default_rng([number, 9])
    greys = random.integers(20, 236, (_ROWS, _COLUMNS)).repeat(64 // _ROWS, axis=0).repeat(64 // _COLUMNS, axis=1)
    buffer = BytesIO()
    Image.fromarray((greys + random.integers(-20, 20, (64, 64))).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def light_templates(crops: UInt8, fingerprint: str) -> Float32:
    """(n, 128) float32 of unit length from the brightness of (n, 256, 256, 3) crops; each model weighs it otherwise."""
    means = crops.reshape(len(crops), _ROWS, 256 // _ROWS, _COLUMNS, 256 // _COLUMNS, 3).mean(axis=(2, 4, 5))
    weights = np.random.default_rng(int(fingerprint[:12], 16)).uniform(0.2, 1.8, DIM)
    centred = (means.reshape(len(crops), DIM) - 127.5) * weights
    return (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)


@cache
def kept_crop(number: int) -> bytes:
    """The crop that the gallery keeps of a photo."""
    return encode_crop(pre_cropped(decode(photo_bytes(number))))


@cache
def template(number: int, fingerprint: str) -> Float32:
    """(128,) float32, what the program stores for a photo."""
    vector = light_templates(decode_crop(kept_crop(number))[None], fingerprint)[0]
    vector.flags.writeable = False
    return vector


def write_photos(root: Path, photos: Iterator[tuple[str, int]]) -> None:
    """Write numbered photos as `root/subject/number.png`."""
    for subject, number in photos:
        file = root / subject / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo_bytes(number))


def install_light_embedder(patch: pytest.MonkeyPatch | None = None) -> None:
    """Let every model embed by brightness; cards, fingerprints, photos, crops and files stay the real ones."""

    def embed(embedder: Embedder, crops: UInt8) -> Float32:
        return light_templates(crops, embedder.fingerprint)

    def prepare(embedder: Embedder) -> None:
        """There is no network to load."""

    def verified_weights(bundle: Bundle) -> bytes:
        """Nobody reads them, and the doctor would hash 44 MB each time."""
        return b""

    for owner, replacement in ((Embedder, embed), (Embedder, prepare), (Bundle, verified_weights)):
        if patch is None:
            setattr(owner, replacement.__name__, replacement)
        else:
            patch.setattr(owner, replacement.__name__, replacement)


@contextmanager
def light_embedder() -> Iterator[None]:
    """The stand-in, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        install_light_embedder(patch)
        yield


@contextmanager
def memory_folder() -> Iterator[Path]:
    """In memory where the system has such a folder: a kill loses nothing that was written, synced or not."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


def write_other_model(home: Path) -> Bundle:
    """Install the shipped model in another precision below `home`: another fingerprint, the same file of weights."""
    shipped = find_model("default")
    card = replace(shipped.card, precision="bfloat16", name="other")
    folder = home / "models" / card.fingerprint
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / WEIGHTS_FILE).symlink_to((shipped.path / WEIGHTS_FILE).resolve())
        (folder / CARD_FILE).write_text(json.dumps(card.to_json()), encoding="utf-8")
    return Bundle(folder, card)
