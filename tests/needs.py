"""What some tests need and the project does not bring. Each need has a mark, registered in pyproject.toml.

Tests whose need is not met are skipped, and the last lines of the run say how to meet it.
"""

import os
from importlib.util import find_spec
from pathlib import Path

PHOTOS = Path(os.environ.get("TWINDEX_TEST_PHOTOS", ""))


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


_MET = {
    "real_photos": "TWINDEX_TEST_PHOTOS" in os.environ,
    "encryption": _installed("cryptography", "sqlcipher3"),
    "train": _installed("keras", "tensorflow"),
}
_REMEDIES = {
    "real_photos": "unpack the ORL and LFW photos as orl/ and lfw/, and name their folder in TWINDEX_TEST_PHOTOS",
    "encryption": "pip install 'twindex[encryption]'",
    "train": "pip install 'twindex[train]'",
}

# Marks whose need is not met, and how to meet it.
UNMET = {mark: remedy for mark, remedy in _REMEDIES.items() if not _MET[mark]}


def skip_reason(mark: str) -> str:
    """Why a test with an unmet mark is skipped."""
    return f"the need of `{mark}` is not met"
