"""Files of a training run: arrays that know what they were made from.

One safetensors file; its metadata holds the origin, a text for each thing the arrays depend on (mostly a SHA-256), and
may hold more texts beside it. It is written beside the old one, made durable and renamed over it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from twindex.errors import IntegrityError, UsageError
from twindex.files.durable import replace

Texts = Mapping[str, str]


def write_run_file(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Texts) -> None:
    """Write arrays by name; a kill at any moment leaves the old file or the new one whole."""
    partial = path.with_suffix(".partial")
    save_file(dict(arrays), partial, metadata=dict(metadata))
    replace(partial, path)


def read_metadata(path: Path, origin: Texts) -> dict[str, str]:
    """The file's metadata, after comparing its origin.

    Args:
        path: The file.
        origin: What the run works on now.

    Raises:
        UsageError: The arrays were made from something else.
        IntegrityError: The file is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata: dict[str, str] = opened.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, error) from error
    other = [name for name, text in origin.items() if metadata.get(name) != text]
    if other:
        raise UsageError(
            f"{path} was made with another value of: {', '.join(other)}. Give what the run began with, or choose "
            "another --run folder."
        )
    return metadata


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The file's arrays by name.

    Raises:
        IntegrityError: The file is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is not a mapping
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: SafetensorError) -> IntegrityError:
    return IntegrityError(f"{path} is damaged ({error}); delete it to make it again.")
