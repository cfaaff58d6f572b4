"""`twindex models`: another precision of the same weights is another model."""

import json
import shutil
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from twindex.embedder.model.registry import find_model


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path))


def test_another_precision_is_installed_beside_the_shipped_model(run: Run) -> None:
    shipped = run("--json", "models", "show", "default").json
    made = run("--json", "models", "install", "default", "--precision", "bfloat16").json
    assert made["name"] == f"{shipped['name']}-bfloat16"
    assert made["precision"] == "bfloat16"
    assert made["model"] != shipped["model"]
    listed = run("--json", "models", "list").json
    assert [(model["precision"], model["default"]) for model in listed] == [
        (shipped["precision"], True),
        ("bfloat16", False),
    ]
    shown = run("--json", "models", "show", made["name"]).json
    assert shown["weights_sha256"] == shipped["weights_sha256"]
    assert shown["accuracy"]["measured_in"] == shipped["precision"]


def test_a_bundle_with_an_edited_head_is_refused_if_the_model_is_installed(run: Run, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(find_model("default").path, edited)
    assert run("models", "install", edited).status == 0
    card = json.loads((edited / "card.json").read_text("utf-8"))
    (edited / "card.json").write_text(json.dumps({**card, "head_weight": -1.0}), "utf-8")
    refused = run("--json", "models", "install", edited)
    assert (refused.status, refused.json["error"]["code"]) == (2, "usage")
    assert "differ in head_weight" in refused.err


def test_an_unknown_precision_is_refused(run: Run) -> None:
    refused = run("models", "install", "default", "--precision", "float8")
    assert refused.status == 2
    assert "float8" in refused.err
