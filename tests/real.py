"""Tests on photos of real people, which are not part of the project: TWINDEX_TEST_PHOTOS names the folder that holds
`orl/` and `lfw/`, unpacked. Without it these tests, and no others, are skipped."""

import os
from pathlib import Path

import pytest

PHOTOS = Path(os.environ.get("TWINDEX_TEST_PHOTOS", ""))
on_real_photos = pytest.mark.skipif(
    "TWINDEX_TEST_PHOTOS" not in os.environ, reason="TWINDEX_TEST_PHOTOS names no folder of real photos"
)
