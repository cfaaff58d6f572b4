"""A model bundle: a folder with a trained branch (`weights.safetensors`) and its card (`card.json`).

The card holds the SHA-256 of the weights file. A bundle never changes: each model has its own folder.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.model.card import Card
from twindex.embedder.model.weights import check_weights_header, decode_weights, encode_weights, read_weights
from twindex.errors import BundleError, UsageError
from twindex.files.durable import folder
from twindex.files.typed_values import decode_json

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"

_LARGEST_CARD = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, as `load_bundle` opens it.

    Attributes:
        path: Its folder.
        card: Its card.
    """

    path: Path
    card: Card

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """Read the weights.

        Returns:
            Float16 arrays, with the names and shapes of `inception.array_shapes`.

        Raises:
            BundleError: The card describes another file, or a number is not finite.
        """
        return decode_weights(self.verified_weights(), self.card.dim)

    def verified_weights(self) -> bytes:
        """The content of the weights file, whose hash has been compared with the card.

        Raises:
            BundleError: The SHA-256 differs.
        """
        return read_weights(self.path / WEIGHTS_FILE, self.card.dim, self.card.weights_sha256)


def load_bundle(path: Path, *, verify: bool = True) -> Bundle:
    """Open a bundle: check its card, then names, shapes, dtypes and length of its weights, then their hash.

    Args:
        path: Its folder.
        verify: Whether to hash the weights now. They are always hashed before they are used.

    Raises:
        BundleError: It is not a bundle, is damaged, or is of an unknown schema.
    """
    card = _read_card(path / CARD_FILE)
    _check_regular(path / WEIGHTS_FILE)
    check_weights_header(path / WEIGHTS_FILE, card.dim)
    bundle = Bundle(path, card)
    if verify:
        bundle.verified_weights()
    return bundle


def write_bundle(path: Path, arrays: Mapping[str, NDArray[Any]], card: Card) -> Bundle:
    """Write a bundle. The folder appears whole or not at all.

    Args:
        path: Folder to make; it must not exist.
        arrays: With the names and shapes of `inception.array_shapes`, any float dtype; stored as float16.
        card: The model's card; its `weights_sha256` is replaced.

    Returns:
        The bundle as written.

    Raises:
        UsageError: `path` exists.
        BundleError: A name or a shape is not a branch's, or a number does not fit float16.
    """
    content = encode_weights(arrays, card.dim)
    written = card.with_weights(hashlib.sha256(content).hexdigest())
    _write_files(path, content, written)
    return Bundle(path, written)


def copy_bundle(bundle: Bundle, path: Path) -> Bundle:
    """Copy a bundle and verify its weights. The folder appears whole or not at all.

    Raises:
        UsageError: `path` exists.
        BundleError: The card describes other weights.
    """
    _write_files(path, bundle.verified_weights(), bundle.card)
    return Bundle(path, bundle.card)


def decode_card(content: bytes, name: str = CARD_FILE) -> Card:
    """A card from the bytes of its file.

    Args:
        content: Any bytes.
        name: What messages call the file.

    Raises:
        BundleError: The bytes are not JSON, or not a card.
    """
    try:
        values = decode_json(content)
        # Python reads numbers too large for a float, and halves of characters, but they cannot be written again.
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise BundleError(f"{name} is not valid JSON: {error}. Install the model again.") from error
    return Card.from_json(values)


def _write_files(path: Path, weights: bytes, card: Card) -> None:
    text = json.dumps(card.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path.exists():
        raise UsageError(f"{path} exists already; give the bundle a new folder.")
    with folder(path) as new:
        (new / WEIGHTS_FILE).write_bytes(weights)
        (new / CARD_FILE).write_bytes(text.encode())


def _read_card(file: Path) -> Card:
    _check_regular(file)
    length = file.stat().st_size
    if length > _LARGEST_CARD:
        raise BundleError(f"{file} is {length} bytes long; a card has at most {_LARGEST_CARD}.")
    return decode_card(file.read_bytes(), str(file))


def _check_regular(file: Path) -> None:
    """Refuse everything but regular files before opening: reading a pipe would block for ever."""
    if not file.is_file():
        raise BundleError(f"{file.parent} is not a model bundle: it has no file {file.name}.")
