"""How training crops are cut and varied."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from twindex.embedder.training.data.variation import composed, framed, mixed, vary
from twindex.embedder.training.recipe.stage import Augmentation
from twindex.errors import UsageError

STILL = Augmentation(scale=(1.0, 1.0), shift=0.0, light=0.0, grey=0.0, flip=False)


def face() -> Image.Image:
    """128 x 128, no two columns and no two rows alike."""
    across, down = np.meshgrid(np.arange(128), np.arange(128))
    return Image.fromarray(np.stack([across, down, np.full_like(down, 7)], axis=-1).astype(np.uint8))


def varied(augmentation: Augmentation, seed: int = 1) -> np.ndarray:
    return vary(face(), 112, augmentation, np.random.default_rng(seed))


def test_the_template_s_square_is_cut_out_of_the_margin() -> None:
    np.testing.assert_array_equal(framed(face(), 112), np.asarray(face())[8:120, 8:120])
    np.testing.assert_array_equal(varied(STILL), framed(face(), 112))


def test_another_size_shows_the_same_square() -> None:
    large = framed(face(), 224).astype(int)
    assert large.shape == (224, 224, 3)
    # A pixel of 224 is half a pixel of 112.
    np.testing.assert_allclose(large[::2, ::2], framed(face(), 112).astype(int), atol=1)


@pytest.mark.parametrize("size", [112, 160])
def test_a_net_that_is_not_bent_shows_the_same_square(size: int) -> None:
    view = {"scale": 1.05, "right": 0.02, "down": -0.01}
    straight = framed(face(), size, **view).astype(int)
    net = framed(face(), size, **view, bends=np.zeros((5, 5, 2), np.float32)).astype(int)
    assert np.abs(net - straight).max() <= 2  # the net's knots are whole pixels


def test_a_knot_moves_what_is_around_it_and_nothing_beyond() -> None:
    bends = np.zeros((5, 5, 2), np.float32)
    bends[2, 1] = (0.05, -0.03)
    change = framed(face(), 112, bends=bends).astype(int) - framed(face(), 112)
    np.testing.assert_allclose(change[56, 28, :2], (0.05 * 112, -0.03 * 112), atol=1)
    outside = np.ones((112, 112), bool)
    outside[28:84, :56] = False
    assert np.abs(change[outside]).max() <= 1


def test_faces_are_bent_at_random_within_the_limit() -> None:
    bent = np.stack([varied(replace(STILL, bend=0.04), seed) for seed in range(20)]).astype(int)
    moved = np.abs(bent - varied(STILL))[:, 10:-10, 10:-10, :2]
    assert 3 < moved.max() <= 0.04 * 112 + 1
    assert (moved.reshape(20, -1).max(axis=1) > 2).all()


def test_half_of_the_photos_are_mirrored() -> None:
    flipped = [varied(replace(STILL, flip=True), seed)[0, 0, 0] > 64 for seed in range(200)]
    assert 70 <= sum(flipped) <= 130


def test_covering_hides_one_rectangle_and_leaves_the_rest() -> None:
    plain = varied(STILL)
    for seed in range(50):
        covered = varied(replace(STILL, occlusion=1.0), seed)
        changed = (covered != plain).any(axis=-1)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        inside = covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 1
        assert 15 <= len(rows) <= 56
        assert 15 <= len(columns) <= 56


def test_some_photos_are_covered() -> None:
    plain = varied(STILL)
    covered = [(varied(replace(STILL, occlusion=0.3), seed) != plain).any() for seed in range(200)]
    assert 35 <= sum(covered) <= 85


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(UsageError, match="occlusion from 0 to 1"):
        Augmentation(occlusion=1.5)
    with pytest.raises(UsageError, match=r"bend up to 0\.1"):
        Augmentation(bend=0.2)


def test_mixing_lets_another_crop_show_through() -> None:
    crops = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (0, 100, 200)])
    seen = np.array([mixed(crops, 1.0, np.random.default_rng(seed))[:, 0, 0, 0] for seed in range(100)])
    assert (np.abs(seen - np.array([0, 100, 200])) <= 100).all()  # at most half of the farthest other
    assert (seen != np.array([0, 100, 200])).any(axis=0).all()
    np.testing.assert_array_equal(mixed(crops, 0.0, np.random.default_rng(1)), crops)


def test_composing_takes_parts_of_another_crop() -> None:
    crops = np.stack([np.full((64, 64, 3), value, np.uint8) for value in (50, 100, 200)])
    made = [composed(crops, 1.0, np.random.default_rng(seed)) for seed in range(50)]
    for number, own in enumerate((50, 100, 200)):
        shares = np.array([(one[number] == own).mean() for one in made if (one[number] != own).any()])
        assert len(shares) > 20  # sometimes it meets itself
        assert 0.2 < shares.mean() < 0.8
        # Most pixels are of one or the other, the borders between.
        others = np.mean([np.isin(one[number], (50, 100, 200)).mean() for one in made])
        assert 0.5 < others < 1
    np.testing.assert_array_equal(composed(crops, 0.0, np.random.default_rng(1)), crops)
    shares = np.mean([(composed(crops, 0.3, np.random.default_rng(s)) != crops).any((1, 2, 3)) for s in range(200)])
    assert 0.1 < shares < 0.3  # a third of the composed ones meet themselves
