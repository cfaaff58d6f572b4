"""From bytes to samples, with the real detector on drawn faces."""

import hashlib
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.embedder.drawn_faces import drawn_face, error, landmarks, photo
from twindex.embedder.faces.alignment import align, decode_crop, encode_crop, pre_cropped
from twindex.embedder.faces.detector import Detector
from twindex.embedder.faces.quality import sharpness
from twindex.embedder.faces.reader import FaceReader, Limits
from twindex.embedder.photos.decoding import decode
from twindex.errors import PhotoError
from twindex.types import Face, UInt8

PORTRAIT = photo((260, 240), (200, 30, 20))
# The small face is in the middle, so it is the more prominent one.
SMALL_AND_LARGE = photo((900, 400), (80, 410, 160), (170, 10, 100))


class NoDetector(Detector):
    """Fails when it is asked."""

    def detect(self, image: UInt8, size: tuple[int, int] | None = None) -> list[Face]:
        raise AssertionError(f"Searched for faces in {image.shape}.")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def reader(detector: Detector) -> FaceReader:
    return FaceReader(detector)


def png(pixels: UInt8, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_a_portrait_gives_one_complete_sample(reader: FaceReader) -> None:
    data = png(PORTRAIT)
    (sample,) = reader.samples(data, "Zoë.png")
    assert sample.source_sha256 == hashlib.sha256(data).hexdigest()
    assert sample.source_name == "Zoë.png"
    assert sample.face_index == 0
    assert sample.face is not None
    assert error(sample.face.landmarks, landmarks(200, 30, 20)) < 0.12
    crop = align(PORTRAIT, sample.face.landmarks)
    assert sample.crop == encode_crop(crop)
    assert sample.quality == sharpness(crop)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (2, PORTRAIT[:, ::-1]),
        (3, PORTRAIT[::-1, ::-1]),
        (4, PORTRAIT[::-1]),
        (5, PORTRAIT.transpose(1, 0, 2)),
        (6, np.rot90(PORTRAIT, 1)),
        (7, np.rot90(PORTRAIT.transpose(1, 0, 2), 2)),
        (8, np.rot90(PORTRAIT, -1)),
    ],
)
def test_exif_turned_photos_give_the_same_crop(reader: FaceReader, orientation: int, stored: UInt8) -> None:
    (upright,) = reader.samples(png(PORTRAIT), "a")
    (turned,) = reader.samples(png(stored, orientation), "b")
    assert turned.crop == upright.crop


def enlarged_jpeg(pixels: UInt8, times: int) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = BytesIO()
    image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_a_large_jpeg_gives_the_same_face_as_decoded_whole(reader: FaceReader, detector: Detector) -> None:
    data = enlarged_jpeg(PORTRAIT, 10)
    (sample,) = reader.samples(data, "large.jpg")
    whole = decode(data)
    (face,) = detector.detect(whole)
    assert sample.face is not None
    np.testing.assert_allclose(sample.face.landmarks, face.landmarks, atol=20)  # 2 px before it was enlarged
    mine, its = sample.face.box, face.box
    assert (mine.x, mine.y, mine.width, mine.height) == pytest.approx((its.x, its.y, its.width, its.height), abs=40)
    expected = align(whole, sample.face.landmarks).astype(np.int16)
    assert np.abs(decode_crop(sample.crop) - expected).mean() < 2


def test_a_small_face_of_a_large_jpeg_is_cut_out_of_the_whole_photo(reader: FaceReader) -> None:
    data = enlarged_jpeg(photo((900, 700), (80, 410, 300)), 3)
    (sample,) = reader.samples(data, "large.jpg")
    assert sample.face is not None
    assert sample.crop == encode_crop(align(decode(data), sample.face.landmarks))


def test_all_faces_in_order_of_prominence(reader: FaceReader) -> None:
    samples = reader.samples(png(SMALL_AND_LARGE), "a", all_faces=True)
    assert [sample.face_index for sample in samples] == [0, 1]
    places = [landmarks(80, 410, 160), landmarks(170, 10, 100)]
    for sample, place in zip(samples, places, strict=True):
        assert sample.face is not None
        assert error(sample.face.landmarks, place) < 0.12


def test_one_face_is_the_most_prominent(reader: FaceReader) -> None:
    (first, _) = reader.samples(png(SMALL_AND_LARGE), "a", all_faces=True)
    (only,) = reader.samples(png(SMALL_AND_LARGE), "a")
    assert (only.face_index, only.crop) == (0, first.crop)


def test_a_face_that_is_too_small_is_skipped(detector: Detector) -> None:
    reader = FaceReader(detector, Limits(min_eye_distance=30))
    (sample,) = reader.samples(png(SMALL_AND_LARGE), "a")
    assert sample.face_index == 1
    assert sample.face is not None
    assert error(sample.face.landmarks, landmarks(170, 10, 100)) < 0.12


def test_only_too_small_faces(detector: Detector) -> None:
    reader = FaceReader(detector, Limits(min_eye_distance=100))
    for all_faces in (False, True):
        with pytest.raises(PhotoError, match=r"1[4-8]\.\d px between the eyes, at least 100\.0 needed") as caught:
            reader.samples(png(SMALL_AND_LARGE), "a", all_faces=all_faces)
        assert caught.value.code == "too_small"


def test_a_blurred_main_face_is_not_replaced_by_another_person(detector: Detector) -> None:
    image = Image.fromarray(photo((900, 400), (90, 20, 20), (300, 300, 50)))
    blurred = image.crop((280, 0, 900, 400)).filter(ImageFilter.GaussianBlur(9))
    image.paste(blurred, (280, 0))
    data = png(np.asarray(image))
    main, other = FaceReader(detector, Limits(min_sharpness=0)).samples(data, "a", all_faces=True)
    assert main.quality < other.quality
    reader = FaceReader(detector, Limits(min_sharpness=(main.quality + other.quality) / 2))
    with pytest.raises(PhotoError, match=f"sharpness {main.quality:.1f}") as caught:
        reader.samples(data, "a")
    assert caught.value.code == "blurred"
    (sharp,) = reader.samples(data, "a", all_faces=True)
    assert (sharp.face_index, sharp.crop) == (1, other.crop)


def test_no_face(reader: FaceReader) -> None:
    with pytest.raises(PhotoError, match="No face was found in the photo of 320 x 240 px") as caught:
        reader.samples(png(photo((320, 240))), "a")
    assert caught.value.code == "no_face"


def test_max_faces_keeps_the_most_prominent(detector: Detector) -> None:
    reader = FaceReader(detector, Limits(max_faces=1))
    (sample,) = reader.samples(png(SMALL_AND_LARGE), "a", all_faces=True)
    assert sample.face_index == 0


def test_undecodable_bytes_keep_their_reason(reader: FaceReader) -> None:
    with pytest.raises(PhotoError, match="empty") as caught:
        reader.samples(b"", "a")
    assert caught.value.code == "unreadable"


def test_pre_cropped_photos_are_not_searched() -> None:
    data = png(np.asarray(drawn_face(128)))
    (sample,) = FaceReader(NoDetector()).samples(data, "a", pre_cropped=True)
    expected = pre_cropped(np.asarray(drawn_face(128)))
    assert sample.face is None
    assert sample.face_index == 0
    assert sample.quality == sharpness(expected)
    assert np.abs(decode_crop(sample.crop).astype(int) - expected).max() < 30


@pytest.mark.parametrize(
    ("pixels", "code", "message"),
    [
        (np.zeros((100, 300, 3), np.uint8), "wrong_shape", "got 300 x 100 px"),
        (np.full((128, 128, 3), 90, np.uint8), "blurred", r"blurred or blank: sharpness 0\.0, at least 4\.0"),
    ],
)
def test_unusable_pre_cropped_photos(pixels: UInt8, code: str, message: str) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        FaceReader(NoDetector()).samples(png(pixels), "a", pre_cropped=True)
    assert caught.value.code == code


def test_the_default_limits_accept_the_drawn_portrait_and_refuse_it_out_of_focus(reader: FaceReader) -> None:
    assert len(reader.samples(png(PORTRAIT), "a")) == 1
    unsharp = np.asarray(drawn_face(128).filter(ImageFilter.GaussianBlur(8)))
    with pytest.raises(PhotoError, match="blurred"):
        reader.samples(png(unsharp), "a", pre_cropped=True)


@pytest.mark.parametrize(
    ("picture", "faces"), [("enrolled/ada/1.jpg", 1), ("strangers/stranger-1/1.jpg", 1), ("group.jpg", 4)]
)
def test_the_shipped_people_are_found(reader: FaceReader, picture: str, faces: int) -> None:
    data = resources.files("twindex.demo").joinpath("people", picture).read_bytes()
    assert len(reader.samples(data, picture, all_faces=True)) == faces


class Blind(Detector):
    """Sees nothing, and remembers whether the pixels that it was shown are still in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: weakref.ref[UInt8] | None = None

    def detect(self, image: UInt8, size: tuple[int, int] | None = None) -> list[Face]:
        self.shown = weakref.ref(image)
        return []


def test_an_error_does_not_hold_the_pixels() -> None:
    blind = Blind()
    with pytest.raises(PhotoError, match="No face") as caught:
        FaceReader(blind).samples(png(PORTRAIT), "a")
    assert blind.shown is not None
    assert blind.shown() is None
    assert caught.value.__traceback__ is not None


def test_readers_of_many_photos_give_the_same_samples(reader: FaceReader) -> None:
    photos = [png(PORTRAIT), png(SMALL_AND_LARGE)] * 3
    many = FaceReader(Detector(streams=2))
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda data: many.samples(data, "a", all_faces=True), photos))
    for data, found in zip(photos, together, strict=True):
        alone = reader.samples(data, "a", all_faces=True)
        assert [one.crop for one in found] == [one.crop for one in alone]
        for one, other in zip(found, alone, strict=True):
            assert one.face is not None
            assert other.face is not None
            assert one.face.box == other.face.box
            np.testing.assert_array_equal(one.face.landmarks, other.face.landmarks)
