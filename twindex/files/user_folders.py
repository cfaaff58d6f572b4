"""This user's own folders, where the environment or the platform puts them."""

import os
from pathlib import Path

import platformdirs


def models_dir() -> Path:
    """Folder of the installed models, each in a folder named by its fingerprint.

    It lies in TWINDEX_HOME, or in the platform's data folder if that is not set.
    """
    home = os.environ.get("TWINDEX_HOME") or platformdirs.user_data_dir("twindex", appauthor=False)
    return Path(home) / "models"


def cache_dir() -> Path:
    """Folder of files that can be deleted at any time: TWINDEX_CACHE, or the platform's cache folder."""
    return Path(os.environ.get("TWINDEX_CACHE") or platformdirs.user_cache_dir("twindex", appauthor=False))
