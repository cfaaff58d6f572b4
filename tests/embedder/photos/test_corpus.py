"""The whole corpus of bad and unusual photos, as the face reader and the network see it."""

import numpy as np
import pytest

from tests.corpus import images
from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.registry import find_model
from twindex.errors import PhotoError
from twindex.files.user_folders import cache_dir
from twindex.types import Float32


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    return FaceReader()


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(find_model("default"), cache=cache_dir())


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (reason, _) in images.BAD.items()])
def test_a_bad_photo_has_its_reason(reader: FaceReader, name: str, reason: str) -> None:
    with pytest.raises(PhotoError, match=r"^[A-Z].*\.$") as caught:
        reader.samples(images.BAD[name][1](), name)
    assert caught.value.code == reason
    assert str(caught.value).isprintable()


def templates(reader: FaceReader, embedder: Embedder, photos: list[bytes]) -> Float32:
    return embedder.embed(np.stack([decode_crop(reader.samples(data, "photo")[0].crop) for data in photos]))


def test_the_eight_orientations_have_one_template(reader: FaceReader, embedder: Embedder) -> None:
    found = templates(reader, embedder, [images.turned(orientation) for orientation in range(1, 9)])
    np.testing.assert_allclose(found, found[[0]].repeat(8, 0), atol=1e-6)


def distances_from(found: Float32, place: int) -> list[float]:
    return [float(one) for one in np.linalg.norm(found - found[place], axis=1)]


def test_a_portrait_is_the_same_however_it_is_stored(reader: FaceReader, embedder: Embedder) -> None:
    found = templates(reader, embedder, [make() for make in images.GOOD.values()])
    distances = dict(zip(images.GOOD, distances_from(found, list(images.GOOD).index("rgb.png")), strict=True))
    lossless = ("rgb.png", "rgba.png", "bmp.bmp", "ppm.ppm", "misnamed-png.jpg")
    assert {name: distances[name] for name in lossless} == pytest.approx(dict.fromkeys(lossless, 0), abs=1e-6)
    assert max(distances.values()) < 0.4, distances  # photos of different people are 1 apart and more


def test_a_portrait_without_colours_is_the_same_however_it_is_stored(reader: FaceReader, embedder: Embedder) -> None:
    found = templates(reader, embedder, [make() for make in images.GREY.values()])
    distances = dict(zip(images.GREY, distances_from(found, 0), strict=True))
    assert distances.pop("grey.jpg") < 0.4
    assert distances == pytest.approx(dict.fromkeys(distances, 0), abs=1e-6)


def test_fifty_faces_are_found(reader: FaceReader) -> None:
    assert len(reader.samples(images.fifty_faces(), "crowd", all_faces=True)) == 50
