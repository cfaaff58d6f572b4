"""A plain installation: the main job works, and an extra that is called is named with the command that installs it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_rekey import KEY, key_file
from tests.hiding import HIDE

pytestmark = pytest.mark.slow

TRAIN = ("tensorflow", "keras", "h5py")
ENCRYPTION = ("cryptography", "sqlcipher3")
OPTIONAL = (*TRAIN, "matplotlib", "scipy", *ENCRYPTION, "jax", "torch")

# Prints the exit status and standard output of each command, and which hidden packages were imported all the same.
HIDING = f"""{HIDE}
import contextlib, io, json
hidden, commands = json.loads(sys.argv[1])
hide(hidden)
from twindex.cli import main
results = []
for command in commands:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            main(command)
        except SystemExit as ended:
            results.append([ended.code or 0, printed.getvalue()])
print(json.dumps([results, sorted(set(hidden) & set(sys.modules))]))
"""


def run_without(
    hidden: Sequence[str], *commands: Sequence[object], **environment: str
) -> tuple[list[tuple[int, str]], list[str]]:
    """The exit status and output of each command, and the hidden packages that were imported."""
    given = json.dumps([hidden, [["--json", *map(str, command)] for command in commands]])
    done = subprocess.run(
        [sys.executable, "-c", HIDING, given],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results, imported = json.loads(done.stdout)
    return [tuple(result) for result in results], imported


def errors_without(hidden: Sequence[str], *commands: Sequence[object], **environment: str) -> list[dict[str, Any]]:
    """The error of each command; each must be the request's and not a defect."""
    results, _ = run_without(hidden, *commands, **environment)
    assert [status for status, _ in results] == [2] * len(commands), results
    return [json.loads(printed)["error"] for _, printed in results]


@pytest.mark.slow
def test_the_main_job_needs_no_extra(people: Path, tmp_path: Path) -> None:
    photo, other = people / "enrolled" / "ada" / "1.jpg", people / "probes" / "ada" / "4.jpg"
    gallery, copy = ("--gallery", tmp_path / "gallery"), ("--gallery", tmp_path / "copy")
    evaluated = [part for kind in ("enrolled", "probes", "strangers") for part in (f"--{kind}", people / kind)]
    commands = [
        [*gallery, "enroll", photo.parent, "--subject", "ada"],
        [*gallery, "query", other, "--picture", tmp_path / "picture.png"],
        ["verify", photo, other],
        [*gallery, "reindex", "--index", "hnsw"],
        [*gallery, "calibrate", "--target-fpir", "0.5", "--non-mated", people / "strangers"],
        [*gallery, "doctor"],
        ["evaluate", "search", *evaluated],
        ["models", "list"],
        ["models", "show", "default"],
        [*gallery, "export", tmp_path / "archive"],
        [*copy, "import", tmp_path / "archive"],
        [*copy, "compact"],
        [*copy, "subjects", "erase", "ada", "--yes"],
    ]
    results, imported = run_without(OPTIONAL, *commands)
    assert [status for status, _ in results] == [0] * len(commands), results
    assert imported == []
    assert (tmp_path / "picture.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("hidden", "backend", "missing"),
    [
        (TRAIN, "", "'keras', 'tensorflow'"),
        (("tensorflow",), "tensorflow", "'tensorflow'"),
        (("keras",), "jax", "'keras'"),
        (("h5py",), "", "'h5py'"),
    ],
)
def test_training_names_its_extra_before_any_work(
    people: Path, tmp_path: Path, hidden: tuple[str, ...], backend: str, missing: str
) -> None:
    weights = tmp_path / "inception.weights.h5"
    weights.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    command = ["train", people / "enrolled", "--output", tmp_path / "model", "--weights", weights]
    (error,) = errors_without(hidden, command, KERAS_BACKEND=backend)
    assert error["code"] == "missing_extra"
    assert f"(No module named {missing})" in error["message"]
    assert error["message"].endswith('pip install "twindex[train]".')
    assert list(tmp_path.iterdir()) == [weights]


def test_another_backend_is_named_with_its_package(people: Path, tmp_path: Path) -> None:
    command = ["train", people / "enrolled", "--output", tmp_path / "model"]
    (error,) = errors_without(["torch"], command, KERAS_BACKEND="torch")
    assert error["code"] == "usage"
    assert "pip install torch" in error["message"]


def test_a_report_names_its_extra_before_anything_is_measured(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ada"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"ada_{number:04d}.jpg").write_bytes(b"no photo")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\nada\t1\t2\nada\t1\tada\t2\n")
    report = ("--report", tmp_path / "report")
    evaluated = [part for kind in ("enrolled", "probes", "strangers") for part in (f"--{kind}", people / kind)]
    errors = errors_without(
        ["matplotlib"],
        ["evaluate", "pairs", "--pairs", pairs, "--images", tmp_path, *report],
        ["evaluate", "search", *evaluated, *report],
    )
    assert [error["code"] for error in errors] == ["missing_extra"] * 2
    assert all(error["message"].endswith('pip install "twindex[evaluate]".') for error in errors)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("hidden", [ENCRYPTION, *((name,) for name in ENCRYPTION)])
def test_encryption_names_its_extra(enrolled: Path, tmp_path: Path, hidden: tuple[str, ...]) -> None:
    key = key_file(tmp_path, "one.key", KEY)
    (error,) = errors_without(hidden, ["--gallery", enrolled, "rekey", "--new-key-file", key])
    assert error["code"] == "missing_extra"
    assert error["message"].endswith('pip install "twindex[encryption]".')
