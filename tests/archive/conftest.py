"""Fixtures of the archive's tests: one exported gallery for all of them."""

from pathlib import Path

import pytest

from tests.archive.builders import make_gallery
from twindex.archive.exporting import export_gallery


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that tests must not change."""
    return make_gallery(tmp_path_factory.mktemp("source") / "gallery")


@pytest.fixture(scope="session")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of that gallery's archive."""
    return export_gallery(source, tmp_path_factory.mktemp("exported") / "archive").path.read_bytes()
