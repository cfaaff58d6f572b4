"""What `train` makes of its options before and after the training itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.commands.conftest import Run
from tests.embedder.coloured_faces import coloured_faces
from twindex.commands.train import _head_pairs, _weights
from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.bundle import Bundle
from twindex.embedder.model.registry import find_model
from twindex.embedder.training import export, loop
from twindex.embedder.training.data.faces import TrainingFaces
from twindex.embedder.training.run import TrainingRun
from twindex.errors import UsageError
from twindex.evaluation.pairs import measure_pairs
from twindex.evaluation.pairs_file import read_pairs


def test_the_head_is_fitted_on_pairs_as_a_query_sees_them(people: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (people / "enrolled").iterdir())[:3]
    for name in names:
        for number, photo in enumerate(sorted((people / "enrolled" / name).iterdir())[:2], 1):
            file = tmp_path / name / f"{name}_{number:04d}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(photo.read_bytes())
    (tmp_path / names[2] / f"{names[2]}_0002.jpg").write_bytes(b"no photo")
    first, second, third = names
    lines = ["3", *(f"{name}\t1\t2" for name in names)]
    lines += [f"{first}\t1\t{second}\t1", f"{first}\t2\t{third}\t1", f"{second}\t1\t{third}\t2"]
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    embedder = Embedder(find_model("default"))
    mated, non_mated = _head_pairs(file)(embedder)
    scores = measure_pairs(read_pairs(file, tmp_path), FaceReader(), embedder, lambda _: None).scores
    # The pairs with the unreadable photo are left out.
    np.testing.assert_allclose(mated, np.sort(scores.distances[:2]), rtol=1e-6)
    np.testing.assert_allclose(non_mated, np.sort(scores.distances[3:5]), rtol=1e-6)


def test_weights_may_be_an_installed_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path / "home"))
    shipped = find_model("default")
    assert _weights(shipped.card.name) == str(shipped.path)
    texts = [None, "imagenet", str(shipped.path)]
    assert [_weights(text) for text in texts] == texts
    with pytest.raises(UsageError, match="No model 'missing'"):
        _weights("missing")


def test_an_output_that_exists_is_refused_before_any_work(run: Run, people: Path, tmp_path: Path) -> None:
    result = run("train", people / "enrolled", "--output", tmp_path)
    assert (result.status, "exists already" in result.err) == (2, True)


def test_weights_of_another_kind_are_refused_before_any_work(run: Run, people: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.npz"
    file.write_bytes(b"\x80\x04N.")
    command = ("--json", "train", people / "enrolled", "--output", tmp_path / "model", "--weights", file)
    result = run(*command)
    assert (result.status, result.json["error"]["code"]) == (6, "pickled")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights.npz"]


def test_options_that_a_recipe_would_hide_are_refused(run: Run, people: Path, tmp_path: Path) -> None:
    command = ("train", people / "enrolled", "--output", tmp_path / "model", "--recipe", "recipes/twindex-112.toml")
    result = run(*command, "--steps", 5, "--held-out", 0.1)
    assert (result.status, "--steps, --held-out would be ignored beside --recipe" in result.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_backend_that_keras_lacks_is_refused_before_any_work(
    run: Run, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    result = run("--json", "train", people / "enrolled", "--output", tmp_path / "model")
    assert (result.status, result.json["error"]["code"]) == (2, "usage")
    assert "KERAS_BACKEND is 'abacus', expected one of tensorflow, jax, torch" in result.err


def test_several_folders_are_learned_from_together(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_bundle: Bundle
) -> None:
    folders = [coloured_faces(tmp_path / name, seed) for seed, name in enumerate(("many", "more"))]
    begun: list[TrainingRun] = []
    monkeypatch.setattr(loop, "train", lambda given, _: begun.append(given))
    card = replace(random_bundle.card, accuracy={"held_out_pairs": 0.9})
    monkeypatch.setattr(export, "export_bundle", lambda *_: card)
    result = run("train", *folders, "--output", tmp_path / "model", "--steps", 3, "--input-size", 75)
    assert (result.status, begun[0].faces.digest) == (0, TrainingFaces.scan(*folders).digest)
    assert [folder.name for folder in begun[0].faces.folders] == ["many", "more"]
    assert "60 photos of 20 subjects" in result.err
    again = run("train", folders[0], folders[0], "--output", tmp_path / "model")
    assert (again.status, "need different names" in again.err) == (2, True)
