"""What stand-ins for the network have in common."""

from collections.abc import Sequence

from twindex.embedder.faces.alignment import decode_crops
from twindex.types import Float32, Sample, UInt8


class StandIn:
    """Embeds samples and kept crops as `Embedder` does: by their pixels."""

    def embed(self, crops: UInt8) -> Float32:
        raise NotImplementedError

    def embed_samples(self, samples: Sequence[Sample]) -> Float32:
        return self.embed_kept([sample.crop for sample in samples])

    def embed_kept(self, crops: Sequence[bytes]) -> Float32:
        return self.embed(decode_crops(crops))
