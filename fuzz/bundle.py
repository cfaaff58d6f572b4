"""Opening a model bundle: its card, the header of its weights, and the weights themselves.

An input is the length of the card (two bytes, little-endian), the card, and the start of the weights file, which is
made as long as its header says a branch's is.
"""

import json
import os
import struct
from collections.abc import Iterator

import numpy as np

from fuzz.scratch import scratch_folder
from twindex.embedder.model.bundle import CARD_FILE, WEIGHTS_FILE, load_bundle
from twindex.embedder.model.inception import array_shapes
from twindex.embedder.model.registry import find_model
from twindex.embedder.model.weights import decode_weights
from twindex.errors import TwindexError

_FOLDER = scratch_folder("bundle")
_DIM = 16
_DATA_BYTES = 2 * sum(int(np.prod(shape)) for shape in array_shapes(_DIM).values())


def _header() -> bytes:
    """The start of a safetensors file that holds a branch's arrays."""
    entries, end = {}, 0
    for name, shape in sorted(array_shapes(_DIM).items()):
        start, end = end, end + 2 * int(np.prod(shape))
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def seeds() -> Iterator[bytes]:
    """The shipped model's card with a branch's header, and halves of that."""
    card = find_model("default").card.to_json() | {"dim": _DIM, "training": {}, "accuracy": {}, "terms": "None."}
    text = json.dumps(card).encode()
    for weights in (_header(), b"", struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 1 << 60)):
        yield struct.pack("<H", len(text)) + text + weights
    yield struct.pack("<H", 2) + b"{}" + _header()


def check(data: bytes) -> None:
    """Only errors of Twindex come out."""
    length = int.from_bytes(data[:2], "little")
    card, weights = data[2 : 2 + length], data[2 + length :]
    (_FOLDER / CARD_FILE).write_bytes(card)
    file = _FOLDER / WEIGHTS_FILE
    file.write_bytes(weights)
    header = int.from_bytes(weights[:8], "little")
    if header <= len(weights) - 8:
        os.truncate(file, 8 + header + _DATA_BYTES)
    for read in (lambda: load_bundle(_FOLDER, verify=False), lambda: decode_weights(weights, _DIM)):
        try:
            read()
        except TwindexError:
            continue
