import numpy as np
import pytest

from twindex.embedder.training import projection


def test_a_linear_teacher_is_followed_up_to_the_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    features = random.normal(3, 1, (400, 6)).astype(np.float32)
    truth, offset = random.normal(size=(6, 4)), random.normal(size=4)
    targets = (features @ truth + offset).astype(np.float32)
    monkeypatch.setattr(projection, "RIDGE", 1e-9)
    kernel, bias = projection.fit_projection(features, targets)
    np.testing.assert_allclose(kernel, truth, atol=1e-3)
    np.testing.assert_allclose(features @ kernel + bias, targets, atol=1e-3)
    assert kernel.dtype == bias.dtype == np.float32


def test_the_ridge_is_a_share_of_the_features_mean_variance() -> None:
    # One feature: the slope is covariance / (variance + share of variance).
    features = np.array([[0], [2], [4]], np.float32)
    targets = np.array([[1], [5], [9]], np.float32)
    kernel, bias = projection.fit_projection(features, targets)
    np.testing.assert_allclose(kernel, [[2 / (1 + projection.RIDGE)]], rtol=1e-6)
    np.testing.assert_allclose(bias, [5 - 2 * kernel[0, 0]], rtol=1e-6)


def test_more_features_than_photos_can_be_fitted() -> None:
    features = np.random.default_rng(1).normal(size=(5, 30)).astype(np.float32)
    kernel, bias = projection.fit_projection(features, features[:, :8])
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()
