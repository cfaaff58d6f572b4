"""A missing package is named with the command that installs it; a missing module of our own stays a defect."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from twindex.errors import MissingExtraError
from twindex.extras import Extra, extra

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
HEAVY = ("tensorflow", "keras", "h5py", "matplotlib", "scipy", "cryptography", "sqlcipher3", "jax", "torch")


@pytest.mark.parametrize("name", get_args(Extra))
def test_a_missing_package_is_named_with_its_remedy(name: Extra) -> None:
    remedy = rf'\(No module named \'no_such_package\'\): pip install "twindex\[{name}\]"\.$'
    with pytest.raises(MissingExtraError, match=remedy), extra(name):
        import no_such_package  # noqa: F401


def test_a_package_that_cannot_be_loaded_is_told_with_the_reason() -> None:
    with pytest.raises(MissingExtraError, match=r"libcuda\.so: cannot open shared object file"), extra("train"):
        raise ImportError("libcuda.so: cannot open shared object file")


def test_a_missing_module_of_our_own_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"twindex\.no_such_module"), extra("train"):
        import twindex.no_such_module  # noqa: F401


def test_every_extra_that_an_error_names_can_be_installed() -> None:
    assert set(get_args(Extra)) <= set(PROJECT["optional-dependencies"])


def test_a_plain_installation_has_no_heavy_package() -> None:
    assert [line for line in PROJECT["dependencies"] if line.startswith(HEAVY)] == []


def test_developers_have_every_extra_that_users_can_call() -> None:
    extras = PROJECT["optional-dependencies"]
    assert extras["all"] == ["twindex[train,evaluate,encryption]"]
    assert "twindex[all]" in extras["dev"]
