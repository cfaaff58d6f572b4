"""The code of docs/keras.md, run as it stands in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.embedder.coloured_faces import coloured_faces

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "keras.md"
# Tracing InceptionV3 takes longer than its few steps.
PRELUDE = "import tensorflow\ntensorflow.config.run_functions_eagerly(True)\n"
CHECKS = """
assert probability.shape == (2, 1)
assert 0 <= probability.min() and probability.max() <= 1
assert bundle.card.input_shape == (75, 75, 3) and bundle.card.dim == 16
assert answer.error is None and len(answer.faces[0].candidates) == 5
assert (answer.faces[0].candidates[0].subject, answer.faces[0].candidates[0].distance < 0.01) == ("3", True)
assert answer.model == bundle.card.fingerprint
"""


def code() -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))


def sharpen(faces: Path) -> None:
    """Add noise to all photos: a gallery refuses faces without any edge as blurred."""
    random = np.random.default_rng(1)
    for photo in faces.glob("*/*.png"):
        pixels = np.asarray(Image.open(photo), np.float64)
        noisy = np.clip(pixels + random.normal(0, 10, pixels.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(photo)


def test_the_page_calls_every_public_name_of_twins() -> None:
    for name in ("siamese", "load_siamese", "bundle_from"):
        assert f"twindex.{name}(" in code()
    for name in (
        "read_faces",
        "pairs",
        "triplets",
        "contrastive_loss",
        "triplet_loss",
        "distance_twin",
        "triplet_twin",
        "fit_head",
        "settle",
    ):
        assert f"twins.{name}(" in code()


@pytest.mark.slow
def test_the_page_s_code_runs(tmp_path: Path) -> None:
    for seed, name in ((1, "faces"), (2, "others")):
        sharpen(coloured_faces(tmp_path / name, seed))
    (tmp_path / "visitor.png").write_bytes((tmp_path / "faces" / "3" / "1.png").read_bytes())
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "TWINDEX_HOME": str(tmp_path / "home"),
        "TWINDEX_CACHE": str(tmp_path / "cache"),
    }
    (tmp_path / "page.py").write_text(PRELUDE + code() + CHECKS, "utf-8")
    command = [sys.executable, "page.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3_000:]
