"""Drawn templates: as many as asked for, of unit length, spread as those that the spread was fitted to."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from twindex.types import Float32

FILE = Path(__file__).parents[2] / "benchmarks" / "likeness.py"


@pytest.fixture(scope="module")
def likeness() -> ModuleType:
    spec = importlib.util.spec_from_file_location("likeness", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def drawn(likeness: ModuleType, count: int, per_subject: int, seed: int) -> Float32:
    return np.concatenate(list(likeness.Likeness.load().draw(count, per_subject, seed)))


def test_as_many_as_asked_for_and_of_unit_length(likeness: ModuleType) -> None:
    templates = drawn(likeness, 50_003, 3, seed=5)
    assert templates.shape == (50_003, 128)
    assert templates.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(templates, axis=1), 1, atol=1e-5)


def test_a_seed_gives_the_same_templates(likeness: ModuleType) -> None:
    first, again, other = (drawn(likeness, 40, 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_a_subject_resembles_itself(likeness: ModuleType) -> None:
    templates = drawn(likeness, 2_000, 2, seed=3).reshape(-1, 2, 128)
    mated = np.linalg.norm(templates[:, 0] - templates[:, 1], axis=1)
    non_mated = np.linalg.norm(templates[:-1, 0] - templates[1:, 0], axis=1)
    assert np.median(mated) < np.quantile(non_mated, 0.001)


def test_the_spread_fitted_to_drawn_templates_is_the_one_they_were_drawn_with(likeness: ModuleType) -> None:
    templates = drawn(likeness, 40_000, 4, seed=4)
    fitted = likeness.fit(templates, np.repeat(np.arange(10_000), 4))
    known = likeness.Likeness.load()
    for name in ("between", "within"):
        wanted, found = (factor.T @ factor for factor in (getattr(known, name), getattr(fitted, name)))
        # Bringing templates to unit length scales the covariances: what is compared is their shape.
        cosine = np.sum(wanted * found) / np.linalg.norm(wanted) / np.linalg.norm(found)
        assert cosine > 0.95
    np.testing.assert_allclose(fitted.reach[[10, 50, 90]], known.reach[[10, 50, 90]], rtol=0.15)
