"""Which models a machine has, and which one a user means."""

import errno
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twindex.embedder.model import registry
from twindex.embedder.model.bundle import Bundle, write_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.model.registry import find_model, install_model, list_models
from twindex.errors import BundleError, UsageError
from twindex.files.user_folders import models_dir

Arrays = Mapping[str, NDArray[np.float32]]
MakeCard = Callable[..., Card]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, and a package without a model."""
    monkeypatch.setenv("TWINDEX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(registry, "_shipped_dir", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def other_bundle(random_arrays: Arrays, make_card: MakeCard, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with other templates than `random_bundle`, but of the same name."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "other", random_arrays, make_card(mirror=False))


def ship(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "shipped" / bundle.card.name)


def damage(path: Path) -> None:
    (path / "card.json").write_text("{")


def test_nothing_is_installed_at_first() -> None:
    assert list_models() == []
    with pytest.raises(UsageError, match=r"No model 'default': expected an installed one \(none\)"):
        find_model("default")


def test_the_shipped_model_is_the_default(random_bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> None:
    install_model(other_bundle.path)
    ship(random_bundle, tmp_path)
    assert [(one.name, one.fingerprint, one.shipped, one.default) for one in list_models()] == [
        ("tiny", random_bundle.card.fingerprint, True, True),
        ("tiny", other_bundle.card.fingerprint, False, False),
    ]
    assert find_model("default").card == random_bundle.card


def test_installing_copies_under_the_fingerprint(random_bundle: Bundle) -> None:
    installed = install_model(random_bundle.path)
    assert installed.path == models_dir() / random_bundle.card.fingerprint
    assert installed.card == random_bundle.card
    installed.verified_weights()


def test_installing_twice_changes_nothing(random_bundle: Bundle) -> None:
    first = install_model(str(random_bundle.path))
    assert install_model(random_bundle.path) == first
    assert install_model("tiny") == first
    assert [path.name for path in models_dir().iterdir()] == [random_bundle.card.fingerprint]


def edited(bundle: Bundle, folder: Path, **changed: object) -> Path:
    """The bundle with the same weights and another card."""
    shutil.copytree(bundle.path, folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps({**card, **changed}), "utf-8")
    return folder


def test_another_card_for_an_installed_model_is_refused(random_bundle: Bundle, tmp_path: Path) -> None:
    installed = install_model(random_bundle.path)
    other = edited(random_bundle, tmp_path / "other", head_weight=-1.0, verify_threshold=0.01)
    assert find_model(str(other)).card.fingerprint == installed.card.fingerprint
    told = r"installed in '.*' with another card.* differ in head_weight, verify_threshold; .*or delete that folder"
    with pytest.raises(UsageError, match=told):
        install_model(other)
    assert find_model("tiny").card == random_bundle.card
    shutil.rmtree(installed.path)
    assert install_model(other).card.head_weight == -1.0


def test_another_card_for_the_shipped_model_is_refused(random_bundle: Bundle, tmp_path: Path) -> None:
    ship(random_bundle, tmp_path)
    other = edited(random_bundle, tmp_path / "other", terms="Others.")
    with pytest.raises(UsageError, match=r"differ in terms; use the installed one\.$"):
        install_model(other)
    assert not models_dir().exists()


def test_the_shipped_model_is_installed_already(random_bundle: Bundle, tmp_path: Path) -> None:
    ship(random_bundle, tmp_path)
    assert install_model(random_bundle.path).path == tmp_path / "shipped" / "tiny"
    assert not models_dir().exists()


def test_a_model_installed_before_it_was_shipped_is_listed_once(random_bundle: Bundle, tmp_path: Path) -> None:
    install_model(random_bundle.path)
    ship(random_bundle, tmp_path)
    assert [one.shipped for one in list_models()] == [True]


def test_installing_repairs_a_damaged_copy(random_bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    installed = install_model(random_bundle.path)
    damage(installed.path)
    with caplog.at_level(logging.WARNING):
        assert list_models() == []
        assert install_model(random_bundle.path) == installed
    assert "Leaving out the damaged model" in caplog.text
    assert "Replacing the damaged model" in caplog.text
    assert find_model("tiny").card == random_bundle.card


def test_damaged_weights_are_not_installed(random_bundle: Bundle, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(random_bundle.path, copied)
    with (copied / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(BundleError, match="not what the model's card describes"):
        install_model(copied)
    assert list_models() == []


def test_an_interrupted_copy_is_not_a_model(random_bundle: Bundle) -> None:
    installed = install_model(random_bundle.path)
    shutil.copytree(installed.path, models_dir() / ".half-written")
    assert [one.path for one in list_models()] == [installed.path]


def test_a_folder_that_cannot_be_read_is_reported_and_left_out(
    random_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ship(random_bundle, tmp_path)
    iterdir = Path.iterdir

    def refusing(path: Path) -> Iterator[Path]:
        if path == models_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refusing)
    assert [model.shipped for model in list_models()] == [True]
    assert f"Leaving out the models in {models_dir()}: Permission denied." in caplog.messages


def test_a_model_is_found_by_name_fingerprint_and_folder(random_bundle: Bundle) -> None:
    installed = install_model(random_bundle.path)
    fingerprint = random_bundle.card.fingerprint
    for text in ("tiny", fingerprint, fingerprint[:8]):
        assert find_model(text) == installed
    assert find_model(str(random_bundle.path)) == random_bundle


@pytest.mark.parametrize("length", [1, 7])
def test_a_short_fingerprint_means_nothing(random_bundle: Bundle, length: int) -> None:
    install_model(random_bundle.path)
    with pytest.raises(UsageError, match=r"expected an installed one \('tiny'\)"):
        find_model(random_bundle.card.fingerprint[:length])


def test_a_name_of_two_models_is_refused(random_bundle: Bundle, other_bundle: Bundle) -> None:
    install_model(random_bundle.path)
    install_model(other_bundle.path)
    with pytest.raises(UsageError, match=f"More than one .*{other_bundle.card.fingerprint[:12]}"):
        find_model("tiny")
    assert find_model(other_bundle.card.fingerprint[:12]).card == other_bundle.card


def test_a_path_is_a_folder_whatever_is_installed(random_bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> None:
    install_model(random_bundle.path)
    shutil.copytree(other_bundle.path, tmp_path / "tiny")
    assert find_model("tiny").card == random_bundle.card
    assert find_model("./tiny").card == other_bundle.card


def test_a_damaged_folder_is_reported_as_damaged(random_bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(random_bundle.path, tmp_path / "copied")
    damage(tmp_path / "copied")
    with pytest.raises(BundleError, match="not valid JSON"):
        find_model(str(tmp_path / "copied"))
