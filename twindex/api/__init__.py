"""What `import twindex` gives: a gallery of enrolled people, and functions that need none.

Nothing heavy is imported before it is needed: opening a gallery imports the database, asking a question imports
detector, model and index. More for twins is in `twindex.api.twins`.
"""

from twindex.api.faces import DetectedFace, detect, embed, verify
from twindex.api.gallery import Gallery
from twindex.api.opening import open_gallery as open  # noqa: A004 - the public name
from twindex.api.twins import bundle_from, load_siamese, siamese

__all__ = [
    "DetectedFace",
    "Gallery",
    "bundle_from",
    "detect",
    "embed",
    "load_siamese",
    "open",
    "siamese",
    "verify",
]
