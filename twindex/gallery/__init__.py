"""The gallery: enrolled subjects on disk, and the answers about who is in a photo."""

from twindex.gallery.answers import FaceAnswer, ProbeAnswer
from twindex.gallery.service import Gallery

__all__ = ["FaceAnswer", "Gallery", "ProbeAnswer"]
