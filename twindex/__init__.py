"""Twindex: identity search for faces, with "unknown" as an answer.

    import twindex

    with twindex.open("gallery") as gallery:
        gallery.enroll("people/")
        print(gallery.identify("visitor.jpg").faces[0].subject)

Names are imported when they are first used (PEP 562), so that `import twindex` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from twindex.api import (
        DetectedFace,
        Gallery,
        bundle_from,
        detect,
        embed,
        load_siamese,
        open,  # noqa: A004 - the public name
        siamese,
        verify,
    )
    from twindex.errors import (
        ArchiveError,
        BundleError,
        EncryptionKeyError,
        IntegrityError,
        ModelMismatchError,
        PhotoError,
        TwindexError,
        UsageError,
    )

_PLACES = {
    "twindex.api": (
        "DetectedFace",
        "Gallery",
        "bundle_from",
        "detect",
        "embed",
        "load_siamese",
        "open",
        "siamese",
        "verify",
    ),
    "twindex.errors": (
        "ArchiveError",
        "BundleError",
        "EncryptionKeyError",
        "IntegrityError",
        "ModelMismatchError",
        "PhotoError",
        "TwindexError",
        "UsageError",
    ),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "ArchiveError",
    "BundleError",
    "DetectedFace",
    "EncryptionKeyError",
    "Gallery",
    "IntegrityError",
    "ModelMismatchError",
    "PhotoError",
    "TwindexError",
    "UsageError",
    "__version__",
    "bundle_from",
    "detect",
    "embed",
    "load_siamese",
    "open",
    "siamese",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACE_OF])
