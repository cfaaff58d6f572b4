"""Variation on the device against Pillow's, draw by draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from twindex.embedder.training.data.variation import framed
from twindex.embedder.training.on_device.variation import composed, draw, mixed, vary
from twindex.embedder.training.recipe.stage import Augmentation

COUNT, SIZE = 8, 75
BENT = Augmentation(scale=(0.9, 1.15), shift=0.06, light=0.35, grey=0.4, bend=0.03)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    coarse = np.random.default_rng(2).integers(0, 256, (COUNT, 16, 16, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(face).resize((128, 128))) for face in coarse])


def test_a_face_is_varied_as_pillow_varies_it(faces: np.ndarray) -> None:
    draws = draw(jax.random.key(3), COUNT, BENT)
    found = np.asarray(vary(jnp.asarray(faces), SIZE, draws))
    assert 0 < int(draws.mirrored.sum()) < COUNT
    assert 0 < int(draws.grey.sum()) < COUNT
    for number, pixels in enumerate(faces):
        face = Image.fromarray(pixels)
        face = ImageOps.mirror(face) if draws.mirrored[number] else face
        face = face.convert("L").convert("RGB") if draws.grey[number] else face
        brightness, contrast = map(float, draws.light[number])
        face = ImageEnhance.Contrast(ImageEnhance.Brightness(face).enhance(brightness)).enhance(contrast)
        right, down = map(float, draws.shift[number])
        expected = framed(
            face, SIZE, scale=float(draws.scale[number]), right=right, down=down, bends=np.asarray(draws.bends[number])
        )
        difference = np.abs(expected - found[number])
        # Pillow adds up steps along a row; a pixel at the very edge of the photo may fall to the other side of it.
        assert (difference > 2).mean() < 0.002
        assert difference.mean() < 0.2


def test_what_is_outside_the_photo_is_black(faces: np.ndarray) -> None:
    draws = draw(jax.random.key(1), COUNT, Augmentation(scale=(0.5, 0.5), shift=0.0, light=0.0, grey=0.0))
    found = np.asarray(vary(jnp.asarray(faces), SIZE, draws))
    assert (found[:, :15] == 0).all()
    assert (found[:, 30:45, 30:45].std(axis=(1, 2)) > 5).any()


def test_some_faces_are_covered_by_a_rectangle_of_one_colour(faces: np.ndarray) -> None:
    plain = Augmentation(scale=(1, 1), shift=0.0, light=0.0, grey=0.0, flip=False)
    covered = Augmentation(scale=(1, 1), shift=0.0, light=0.0, grey=0.0, flip=False, occlusion=0.6)
    before = np.asarray(vary(jnp.asarray(faces), SIZE, draw(jax.random.key(4), COUNT, plain)))
    draws = draw(jax.random.key(4), COUNT, covered)
    after = np.asarray(vary(jnp.asarray(faces), SIZE, draws))
    for number in range(COUNT):
        hidden = (before[number] != after[number]).any(-1)
        if not draws.covered[number]:
            assert not hidden.any()
            continue
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        inside = after[number][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (inside == np.asarray(draws.colour[number])).all()
        assert 0.14 < len(rows) / SIZE < 0.51
    assert 0 < int(draws.covered.sum()) < COUNT


@pytest.mark.parametrize("blend", [mixed, composed])
def test_a_share_of_the_crops_shows_another_one(faces: np.ndarray, blend) -> None:
    crops = jnp.asarray(faces[:, :SIZE, :SIZE].astype(np.float32))
    np.testing.assert_array_equal(blend(jax.random.key(1), crops, 0.0), crops)
    found = np.asarray(blend(jax.random.key(1), crops, 0.5))
    changed = (found != np.asarray(crops)).any(axis=(1, 2, 3))
    assert 0 < changed.sum() < COUNT
    assert found.min() >= 0
    assert found.max() <= 255
