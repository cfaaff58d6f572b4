"""From aligned crops to templates by one model."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import twindex
from twindex.embedder.faces.alignment import centre, decode_crops
from twindex.embedder.inference.branch_graph import build_branch
from twindex.embedder.inference.runtime import Network, load_network
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.card import Card
from twindex.errors import BundleError
from twindex.types import Float32, Sample, UInt8

BATCH = 32
_SHORTEST = 0.5  # a template's length is 1 except for rounding; if it is shorter, the network is broken


class Embedder:
    """The shared branch of a trained twin. Any number of threads may use it.

    It reads and compiles nothing before the first crop, so asking it for its card costs nothing.

    Args:
        bundle: The model.
        cache: Folder for the compiled network, made if missing; None compiles at each start.
        batch: Most images computed at once, which bounds the memory.
    """

    def __init__(self, bundle: Bundle, *, cache: Path | None = None, batch: int = BATCH) -> None:
        if batch < 1:
            raise ValueError(f"Expected a batch of at least 1, got {batch}.")
        self._bundle = bundle
        self._cache = cache
        self._batch = batch
        self._compiling = threading.Lock()
        self._network: Network | None = None

    @property
    def card(self) -> Card:
        """The model's card."""
        return self._bundle.card

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the templates: templates of another fingerprint cannot be compared with them."""
        return self.card.fingerprint

    @property
    def dim(self) -> int:
        """Length of a template."""
        return self.card.dim

    def prepare(self) -> None:
        """Load the network now, perhaps in another thread, and not at the first crop.

        Raises:
            BundleError: The model is damaged.
        """
        self._ready()

    def embed(self, crops: UInt8) -> Float32:
        """Templates of aligned crops.

        Args:
            crops: (n, 256, 256, 3) uint8, RGB (see `alignment.py`); n may be 0.

        Returns:
            (n, dim) float32, unit length.

        Raises:
            BundleError: The model is damaged.
        """
        return self._in_batches(crops, aligned=True)

    def embed_samples(self, samples: Sequence[Sample]) -> Float32:
        """Templates of samples, computed from the encoded crops that the gallery keeps.

        Args:
            samples: n samples; n may be 0.

        Returns:
            (n, dim) float32, unit length.

        Raises:
            IntegrityError: A crop's bytes are damaged.
            BundleError: The model is damaged.
        """
        return self.embed_kept([sample.crop for sample in samples])

    def embed_kept(self, crops: Sequence[bytes]) -> Float32:
        """Templates of encoded crops, as the gallery keeps them.

        Args:
            crops: n crops, from `alignment.encode_crop`; n may be 0.

        Returns:
            (n, dim) float32, unit length.

        Raises:
            IntegrityError: A crop's bytes are damaged.
            BundleError: The model is damaged.
        """
        return self.embed(decode_crops(crops))

    def embed_inputs(self, images: UInt8) -> Float32:
        """Templates of images that have the size of the network's input.

        Args:
            images: (n, height, width, 3) uint8, RGB, the face's square without margin; n may be 0.

        Returns:
            (n, dim) float32, unit length.

        Raises:
            ValueError: The images have another size.
            BundleError: The model is damaged.
        """
        if images.shape[1:] != self.card.input_shape:
            raise ValueError(f"Expected images of shape {self.card.input_shape}, got {images.shape[1:]}.")
        return self._in_batches(images, aligned=False)

    def _in_batches(self, images: UInt8, *, aligned: bool) -> Float32:
        templates = np.empty((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), self._batch):
            part = images[start : start + self._batch]
            inputs = centre(part, self.card.input_shape[0]) if aligned else part
            templates[start : start + self._batch] = self._unit_length(self._ready()(inputs)[0])
        return templates

    def _unit_length(self, templates: Float32) -> Float32:
        """Correct the rounding of low precision; refuse templates without a direction."""
        lengths = np.linalg.norm(templates.astype(np.float64), axis=1, keepdims=True)
        if not (lengths > _SHORTEST).all():
            raise BundleError(f"The model {self.card.name!r} gives templates that are not finite or have no length.")
        corrected: Float32 = (templates / lengths).astype(np.float32)
        return corrected

    def _ready(self) -> Network:
        with self._compiling:
            if self._network is None:
                card = self.card
                ranges = card.activation_ranges if card.precision == "int8" else None
                self._network = load_network(
                    lambda: build_branch(self._bundle.arrays(), card.input_shape, mirror=card.mirror, ranges=ranges),
                    # The version is included because this package's code makes the graph.
                    key=f"{card.fingerprint} {twindex.__version__}",
                    # In 8 bits, everything that the graph does not round is computed in float32.
                    precision="bfloat16" if card.precision == "bfloat16" else "float32",
                    cache=self._cache,
                )
            return self._network
