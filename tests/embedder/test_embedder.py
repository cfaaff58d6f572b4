"""The embedder: the same templates in any batch, thread and process, by one model and no other."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.alignment import centre, decode_crop, encode_crop
from twindex.embedder.model.bundle import Bundle, write_bundle
from twindex.embedder.model.card import Card
from twindex.errors import BundleError, IntegrityError
from twindex.types import Sample

Arrays = Mapping[str, NDArray[np.float32]]
MakeCard = Callable[..., Card]


def pictures(count: int, side: int) -> NDArray[np.uint8]:
    """Soft random patterns, all different."""
    coarse = np.random.default_rng(side).integers(0, 256, (count, 8, 8, 3))
    places = np.arange(side) * 8 // side
    return coarse[:, places][:, :, places].astype(np.uint8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def embedder(random_bundle: Bundle, cache: Path) -> Embedder:
    return Embedder(random_bundle, cache=cache, batch=2)


def test_an_embedder_knows_its_model_without_reading_it(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(weights_sha256="ab" * 32)
    embedder = Embedder(Bundle(tmp_path / "nowhere", card))
    assert (embedder.card, embedder.dim, embedder.fingerprint) == (card, 16, card.fingerprint)
    assert embedder.embed(np.empty((0, 256, 256, 3), np.uint8)).shape == (0, 16)


def test_templates_have_unit_length(embedder: Embedder) -> None:
    templates = embedder.embed_inputs(pictures(3, 75))
    assert templates.shape == (3, 16)
    assert templates.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(templates.astype(np.float64), axis=1), 1, atol=1e-7)


def test_a_template_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    images = pictures(5, 75)
    single = np.concatenate([embedder.embed_inputs(images[place : place + 1]) for place in range(5)])
    np.testing.assert_allclose(embedder.embed_inputs(images), single, atol=1e-6)
    assert np.abs(single[0] - single[1]).max() > 1e-3


def test_crops_are_cut_to_the_networks_square(embedder: Embedder) -> None:
    crops = pictures(3, 256)
    np.testing.assert_array_equal(embedder.embed(crops), embedder.embed_inputs(centre(crops, 75)))


def test_samples_are_embedded_from_the_bytes_of_their_crops(embedder: Embedder) -> None:
    encoded = [encode_crop(crop) for crop in pictures(3, 256)]
    samples = [Sample("", "", 0, None, 1.0, crop) for crop in encoded]
    expected = embedder.embed(np.stack([decode_crop(crop) for crop in encoded]))
    np.testing.assert_array_equal(embedder.embed_samples(samples), expected)
    np.testing.assert_array_equal(embedder.embed_kept(encoded), expected)
    assert embedder.embed_samples([]).shape == (0, 16)


def test_a_damaged_crop_is_not_embedded(embedder: Embedder) -> None:
    with pytest.raises(IntegrityError, match="A stored crop cannot be read"):
        embedder.embed_kept([encode_crop(pictures(1, 256)[0]), b"damaged"])


def test_a_mirrored_face_has_the_same_template(embedder: Embedder) -> None:
    images = pictures(2, 75)
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    np.testing.assert_allclose(embedder.embed_inputs(images), embedder.embed_inputs(mirrored), atol=1e-5)


def test_threads_get_their_own_templates(random_bundle: Bundle, cache: Path, embedder: Embedder) -> None:
    fresh = Embedder(random_bundle, cache=cache)
    images = pictures(4, 75)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda place: fresh.embed_inputs(images[place : place + 1])[0], range(4)))
    np.testing.assert_allclose(found, embedder.embed_inputs(images), atol=1e-6)


def test_a_later_start_needs_no_weights(random_arrays: Arrays, make_card: MakeCard, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", random_arrays, make_card())
    images = pictures(2, 75)
    first = Embedder(bundle, cache=tmp_path / "cache").embed_inputs(images)
    (bundle.path / "weights.safetensors").unlink()
    again = Embedder(bundle, cache=tmp_path / "cache").embed_inputs(images)
    np.testing.assert_array_equal(first, again)


def test_two_models_share_a_cache_folder(
    random_arrays: Arrays, make_card: MakeCard, tmp_path: Path, cache: Path, embedder: Embedder
) -> None:
    opposite = {name: -array if name.startswith("projection/") else array for name, array in random_arrays.items()}
    bundle = write_bundle(tmp_path / "bundle", opposite, make_card(mirror=True))
    images = pictures(2, 75)
    templates = embedder.embed_inputs(images)
    np.testing.assert_allclose(Embedder(bundle, cache=cache).embed_inputs(images), -templates, atol=1e-6)


def test_low_precision_is_close_and_of_unit_length(
    random_arrays: Arrays, make_card: MakeCard, tmp_path: Path, embedder: Embedder
) -> None:
    bundle = write_bundle(tmp_path / "bundle", random_arrays, make_card(mirror=True, precision="bfloat16"))
    low = Embedder(bundle).embed_inputs(pictures(2, 75))
    np.testing.assert_allclose(np.linalg.norm(low.astype(np.float64), axis=1), 1, atol=1e-7)
    np.testing.assert_allclose(low, embedder.embed_inputs(pictures(2, 75)), atol=0.05)


def test_a_model_whose_templates_have_no_length_is_refused(
    random_arrays: Arrays, make_card: MakeCard, tmp_path: Path
) -> None:
    silent = {name: np.zeros_like(array) for name, array in random_arrays.items()}
    embedder = Embedder(write_bundle(tmp_path / "bundle", silent, make_card()))
    with pytest.raises(BundleError, match="not finite or have no length"):
        embedder.embed_inputs(pictures(1, 75))


def test_changed_weights_are_refused(random_arrays: Arrays, make_card: MakeCard, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", random_arrays, make_card())
    other = Bundle(bundle.path, bundle.card.with_weights("00" * 32))
    with pytest.raises(BundleError, match="not what the model's card describes"):
        Embedder(other).embed_inputs(pictures(1, 75))


def test_images_of_another_size_are_refused(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match=r"Expected images of shape \(75, 75, 3\), got \(112, 112, 3\)"):
        embedder.embed_inputs(pictures(1, 112))


def test_an_empty_batch_is_refused(random_bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="batch of at least 1, got 0"):
        Embedder(random_bundle, batch=0)
