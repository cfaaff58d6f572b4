"""Arithmetic in 8 bits: ranges as NumPy finds them, groups as concatenation asks for them, templates close by."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twindex.embedder.embedder import Embedder
from twindex.embedder.inference.branch_graph import build_branch, build_maxima, folded
from twindex.embedder.inference.quantisation import activation_ranges
from twindex.embedder.inference.runtime import compile_network
from twindex.embedder.model.bundle import write_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.model.inception import activations

pytestmark = pytest.mark.slow

Arrays = Mapping[str, NDArray[np.float32]]
SHAPE = (75, 75, 3)


def pictures(count: int, seed: int) -> NDArray[np.uint8]:
    """Soft random patterns, all different."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3))
    places = np.arange(75) * 8 // 75
    return coarse[:, places][:, :, places].astype(np.uint8)


def test_concatenated_activations_are_one_group() -> None:
    groups = activations()
    assert len(groups) == 94 + 9
    # Stem: five convolutions, each coded on its own.
    assert len(set(groups[:5])) == 5
    # mixed0: 1x1 | 1x1, 5x5 | 1x1, 3x3, 3x3 | average pooling, 1x1; the last of each path are joined.
    first = groups[5:13]
    assert first[0] == first[2] == first[5] == first[7]
    assert len({first[0], first[1], first[3], first[4], first[6]}) == 5
    # The reduction after mixed2 passes mixed2 on through its max pooling: one group.
    assert groups[21] == groups[29]
    assert groups[13] not in (groups[5], groups[21])


def test_the_first_maximum_is_the_first_convolutions(random_arrays: Arrays) -> None:
    images = pictures(3, 1)
    (maxima,) = compile_network(build_maxima(random_arrays, SHAPE))(images)
    assert maxima.shape == (3, 103)
    kernel, bias = folded(random_arrays, "conv_00")
    scaled = images.astype(np.float32) / 127.5 - 1
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (3, 3), axis=(1, 2))[:, ::2, ::2]
    convolved = np.einsum("nyxchw,ochw->noyx", windows, kernel) + bias
    np.testing.assert_allclose(maxima[:, 0], convolved.max(axis=(1, 2, 3)), rtol=1e-4)


def test_ranges_are_equal_within_a_group_and_cover_the_faces(random_arrays: Arrays) -> None:
    images = pictures(4, 2)
    ranges = np.array(activation_ranges(random_arrays, SHAPE, images))
    (maxima,) = compile_network(build_maxima(random_arrays, SHAPE))(images)
    groups = np.array(activations())
    for group in set(groups.tolist()):
        members = groups == group
        np.testing.assert_allclose(ranges[members], np.quantile(maxima[:, members], 0.99, axis=0).max(), rtol=1e-6)


def test_ranges_need_a_face(random_arrays: Arrays) -> None:
    with pytest.raises(ValueError, match="at least one face"):
        activation_ranges(random_arrays, SHAPE, np.empty((0, *SHAPE), np.uint8))


@pytest.mark.slow
def test_templates_in_8_bits_are_close_but_not_the_same(
    random_arrays: Arrays, make_card: Callable[..., Card], tmp_path: Path
) -> None:
    images = pictures(4, 3)
    ranges = activation_ranges(random_arrays, SHAPE, pictures(16, 4))
    card = make_card(mirror=True, activation_ranges=ranges)
    exact = Embedder(write_bundle(tmp_path / "exact", random_arrays, card)).embed_inputs(images)
    rounded = Embedder(write_bundle(tmp_path / "rounded", random_arrays, card.with_precision("int8")))
    apart = np.linalg.norm(rounded.embed_inputs(images) - exact, axis=1)
    assert (apart > 1e-4).all()
    between = np.linalg.norm(exact[:, None] - exact[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.max() < 0.7 * between.min()


def test_sums_of_two_products_fit_16_bits(random_arrays: Arrays) -> None:
    """As processors without dot products of 8-bit numbers add them: 255 x kernel + 255 x kernel."""
    graph = build_branch(random_arrays, SHAPE, mirror=False, ranges=[1.0] * len(activations()))
    rounded = [node for node in graph.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]
    kernels = [node for node in rounded if node.input_value(0).get_node().get_type_name() == "Constant"]
    assert len(kernels) == 94
    for node in kernels:
        kernel, _, edge = (node.input_value(number).get_node().get_data() for number in range(3))
        whole = np.rint(np.abs(kernel) / edge * (node.get_attributes()["levels"] - 1) / 2)
        full = whole.shape[1] // 4 * 4  # the first kernel has three channels
        fours = whole[:, :full].reshape(len(whole), -1, 4, *whole.shape[2:])
        pairs = [fours[:, :, one] + fours[:, :, other] for one in range(4) for other in range(one)]
        assert 255 * np.max(pairs, initial=0) <= np.iinfo(np.int16).max
        # As fine as that allows, in every output channel.
        assert full == 0 or (np.max(pairs, axis=(0, 2, 3, 4)) >= 126).all() or whole.max() == 127
