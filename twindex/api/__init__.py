"""What `import twindex` gives: a gallery of enrolled people, and functions that need none.

Nothing heavy is imported before it is needed: opening a gallery imports the database, asking a question imports
detector, model and index.
"""

from twindex.api.faces import DetectedFace, detect, embed, verify
from twindex.api.gallery import Gallery
from twindex.api.opening import open_gallery as open  # noqa: A004 - the public name

__all__ = ["DetectedFace", "Gallery", "detect", "embed", "open", "verify"]
