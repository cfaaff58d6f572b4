"""The pyramid's levels, and the sheet that holds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from twindex.embedder.faces import mtcnn_graph as mtcnn
from twindex.embedder.faces.cascade import Stage
from twindex.embedder.faces.pyramid import Level, laid_out, scales, sheet
from twindex.embedder.inference.runtime import compile_network


@pytest.fixture(scope="module")
def network() -> Stage:
    return compile_network(mtcnn.proposal_network(mtcnn.load_weights()))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


def test_the_pyramid_ends_where_the_window_fills_the_image() -> None:
    assert scales(100, 24, 24) == [0.5]
    assert scales(24, 23, 24) == []
    assert scales(96, 96, 24) == pytest.approx([0.5, 0.3545, 0.2513405, 0.17820, 0.126345], rel=1e-3)
    assert laid_out(24, 23, 24) == []


@given(st.integers(12, 1024), st.integers(12, 1024), st.integers(12, 200))
def test_no_two_levels_share_a_pixel_and_little_is_empty(width: int, height: int, min_face: int) -> None:
    sheets = laid_out(width, height, min_face)
    assert [level.scale for levels in sheets for level in levels] == scales(width, height, min_face)
    for levels in sheets:
        taken = np.zeros(sheet(Image.new("RGB", (width, height)), levels).shape[:2], int)
        for level in levels:
            assert (level.left % 2, level.top % 2) == (0, 0)
            right, bottom = level.left + level.width, level.top + level.height
            taken[level.top : bottom + bottom % 2, level.left : right + right % 2] += 1
        assert taken.max() == 1
        assert (taken == 0).mean() < 0.3


def test_a_sheet_takes_no_more_memory_than_the_largest_level() -> None:
    sheets = laid_out(1024, 768, 20)
    pixels = [sheet(Image.new("RGB", (1024, 768)), levels).size for levels in sheets]
    assert pixels[0] == max(pixels)
    assert [len(levels) for levels in sheets[:-1]] == [1] * (len(sheets) - 1)
    assert len(sheets[-1]) > 3


@pytest.mark.parametrize(("width", "height"), [(250, 250), (331, 97), (64, 301), (40, 40), (520, 480)])
def test_the_network_sees_each_level_as_if_it_were_alone(network: Stage, width: int, height: int) -> None:
    image, compared = noise(width, height), 0
    for levels in laid_out(width, height, 20):
        offsets, probability = network(sheet(image, levels)[np.newaxis])
        for level in levels:
            alone = network(sheet(image, [Level(level.scale, level.width, level.height)])[np.newaxis])
            assert probability[0][level.windows].shape == alone[1][0].shape
            np.testing.assert_allclose(offsets[0][level.windows], alone[0][0], atol=1e-5)
            np.testing.assert_allclose(probability[0][level.windows], alone[1][0], atol=1e-5)
            compared += 1
    assert compared > 1


def test_a_level_is_the_reduced_photo_with_its_odd_edges_repeated() -> None:
    image = noise(33, 25)
    pixels = sheet(image, [Level(1.0, 33, 25)])
    assert pixels.shape == (26, 34, 3)
    np.testing.assert_array_equal(pixels[:25, :33], np.asarray(image))
    np.testing.assert_array_equal(pixels[25], pixels[24])
    np.testing.assert_array_equal(pixels[:, 33], pixels[:, 32])
