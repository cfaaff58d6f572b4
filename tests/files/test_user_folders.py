"""Where a user's models and caches are."""

from pathlib import Path

import pytest

from twindex.files import user_folders
from twindex.files.user_folders import cache_dir, models_dir


def test_the_environment_names_both_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TWINDEX_CACHE", str(tmp_path / "elsewhere"))
    assert models_dir() == tmp_path / "home" / "models"
    assert cache_dir() == tmp_path / "elsewhere"


def test_the_platform_decides_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINDEX_HOME", raising=False)
    monkeypatch.delenv("TWINDEX_CACHE", raising=False)
    monkeypatch.setattr(user_folders.platformdirs, "user_data_dir", lambda name, **_: f"{tmp_path}/data/{name}")
    monkeypatch.setattr(user_folders.platformdirs, "user_cache_dir", lambda name, **_: f"{tmp_path}/cache/{name}")
    assert models_dir() == tmp_path / "data" / "twindex" / "models"
    assert cache_dir() == tmp_path / "cache" / "twindex"
