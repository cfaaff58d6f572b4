"""Names of subjects and photos in a form that can be stored and compared."""

import difflib
import unicodedata
from collections.abc import Iterable

from twindex.errors import UsageError

MAX_NAME_LENGTH = 255


def readable_text(text: str) -> str:
    r"""`text` as valid Unicode; bytes of a file name that are not UTF-8 are written as `\xff`."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A surrogate that does not stand for a byte; such text never came from a POSIX file name.
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def subject_name(name: str) -> str:
    """The form in which a subject's name is stored: valid Unicode in NFC, without white space around it.

    Names that look the same are therefore equal.

    Raises:
        UsageError: If the name is empty, only white space, or over 255 characters.
    """
    normal = unicodedata.normalize("NFC", readable_text(name)).strip()
    if not normal:
        raise UsageError(f"A subject needs a name that can be read, got {name!r}; give at least one visible character.")
    if len(normal) > MAX_NAME_LENGTH:
        raise UsageError(
            f"A subject's name may have {MAX_NAME_LENGTH} characters, got {len(normal)}; give a shorter name."
        )
    return normal


def unknown_subject(name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that nobody has, with the nearest existing names."""
    nearest = difflib.get_close_matches(name, list(known), n=3)
    hint = f"nearest names: {', '.join(map(repr, nearest))}" if nearest else "see `twindex subjects list`"
    return UsageError(f"No subject named {name!r}, {hint}.")
