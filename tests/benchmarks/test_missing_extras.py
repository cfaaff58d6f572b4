"""A benchmark without its packages names the command that installs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hiding import HIDE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("script", "package", "extra"),
    [
        ("search.py", "hnswlib", "bench"),
        ("embedding.py", "onnxruntime", "bench"),
        ("plot_search.py", "matplotlib", "bench"),
        ("training.py", "keras", "train"),
    ],
)
def test_the_extra_is_named(script: str, package: str, extra: str) -> None:
    program = f"{HIDE}\nimport runpy\nhide({[package]!r})\nsys.path.insert(0, {str(BENCHMARKS)!r})\n"
    program += f"runpy.run_path({str(BENCHMARKS / script)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert f"No module named {package!r}" in told
    assert told.endswith(f'pip install "twindex[{extra}]".')
