"""What stand-ins for the network have in common."""

from collections.abc import Sequence

import numpy as np

from twindex.embedder.faces.alignment import decode_crop
from twindex.types import Float32, Sample, UInt8


class StandIn:
    """Embeds samples as `Embedder` does: by their kept crops."""

    def embed(self, crops: UInt8) -> Float32:
        raise NotImplementedError

    def embed_samples(self, samples: Sequence[Sample]) -> Float32:
        return self.embed(np.stack([decode_crop(sample.crop) for sample in samples]))
