"""The optional parts of Twindex, and what to say when one of them is called but not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from twindex.errors import MissingExtraError

Extra = Literal["train", "evaluate", "encryption", "bench"]

# What each extra is for. Its packages are listed in pyproject.toml.
_USES: dict[Extra, str] = {
    "train": "Training",
    "evaluate": "A report with plots",
    "encryption": "Encryption",
    "bench": "This benchmark",
}


@contextmanager
def extra(name: Extra) -> Iterator[None]:
    """Import an extra's packages inside this block; if one is missing, the error names the command that installs it.

    Raises:
        MissingExtraError: A package cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        # A module of our own that cannot be imported is a defect, and no installation mends it.
        if (error.name or "").partition(".")[0] == "twindex":
            raise
        raise missing_extra(name, error) from error


def missing_extra(name: Extra, reason: object) -> MissingExtraError:
    """The error for an extra whose packages cannot be used.

    Args:
        name: Of the extra.
        reason: What is wrong, for the message; such as the error of the import.
    """
    return MissingExtraError(
        f'{_USES[name]} needs packages that are not installed ({reason}): pip install "twindex[{name}]".'
    )
