"""Fixtures of the gallery's tests: the shipped model, its templates made by a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gallery.builders import BrightnessEmbedder
from twindex.gallery import Gallery


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the gallery is; every model passes for installed, and embeds by brightness."""
    monkeypatch.setattr(Gallery, "embedder", lambda self, fingerprint: BrightnessEmbedder(fingerprint))
    return tmp_path / "gallery"


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    with Gallery.create(folder) as opened:
        yield opened
