"""From the bytes of a photo to samples: decode the photo, find its faces, align and measure them."""

import traceback
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from twindex.embedder.faces import alignment
from twindex.embedder.faces.detector import MAX_SIDE, Detector
from twindex.embedder.faces.quality import eye_distance, sharpness
from twindex.embedder.photos.decoding import ReducedPhoto, decode, decode_reduced, share_of_memory
from twindex.embedder.photos.files import source_digest
from twindex.embedder.photos.memory import MemoryBudget
from twindex.embedder.photos.pixels import return_memory_of_photos
from twindex.errors import PhotoError
from twindex.files.user_folders import cache_dir
from twindex.types import Face, Sample, UInt8


@dataclass(frozen=True)
class Limits:
    """The least that a face must have to be enrolled or searched.

    Attributes:
        min_eye_distance: Pixels of the photo between the eyes, seen from the front (see `quality.eye_distance`).
        min_sharpness: See `quality.sharpness`. The least sharp of 1,549 faces of Labeled Faces in the Wild has 17. If
            a Gaussian of 6 px blurs their 256 px crops, the median is 4, and 8 % are mistaken for somebody else.
        max_faces: Most faces of one photo that are measured, most prominent first.
    """

    min_eye_distance: float = 10.0
    min_sharpness: float = 4.0
    max_faces: int = 100


_RIVAL = 0.5  # smallest area of a rival, as a share of the face's own


class FaceReader:
    """Turns photos into samples.

    Threads may share a reader: together their photos take no more memory than the largest single photo may.

    Args:
        detector: None makes one with default settings that keeps its compiled networks in the user's cache.
        limits: The least that a face must have.
    """

    def __init__(self, detector: Detector | None = None, limits: Limits | None = None) -> None:
        self._detector = Detector(cache=cache_dir()) if detector is None else detector
        self._limits = Limits() if limits is None else limits
        self._memory = MemoryBudget()
        return_memory_of_photos()

    @classmethod
    def of_many(cls, threads: int) -> Self:
        """A reader for that many threads at once. One core searches each photo, which takes less time in total.

        The samples are those that any other reader gives.
        """
        return cls(Detector(cache=cache_dir(), streams=threads))

    def prepare(self) -> None:
        """Load the detector now, perhaps in another thread, and not at the first photo."""
        self._detector.prepare()

    def samples(
        self, data: bytes, source_name: str, *, pre_cropped: bool = False, all_faces: bool = False
    ) -> list[Sample]:
        """Read the faces of one photo.

        Faces that are too small are skipped, as there may be faces in the background. A blurred face is not skipped
        unless all faces are wanted: the next face of the photo would most likely be another person.

        Args:
            data: The photo's bytes.
            source_name: Where the photo came from, for people.
            pre_cropped: The photo is one aligned or closely cropped face; the detector is not used.
            all_faces: Return every usable face, not only the most prominent one.

        Returns:
            At least one sample, most prominent first.

        Raises:
            PhotoError: There is no usable face; the code and the message say why.
        """
        with self._memory.taken(share_of_memory(data)):
            try:
                return self._read(data, source_name, pre_cropped, all_faces)
            except PhotoError as error:
                _let_go(error)
                raise

    def _read(self, data: bytes, source_name: str, pre_cropped: bool, all_faces: bool) -> list[Sample]:
        digest = source_digest(data)
        if pre_cropped:
            return [self._measured(alignment.pre_cropped(decode(data)), digest, source_name, 0, None)]
        photo = _Photo(data)
        faces = self._faces(photo.reduced)
        samples: list[Sample] = []
        refused: list[PhotoError] = []
        for index, face in enumerate(faces):
            try:
                self._check_size(face)
                sample = self._measured(photo.aligned(face), digest, source_name, index, face)
            except PhotoError as error:
                if error.code == "blurred" and not all_faces:
                    raise
                refused.append(error)
                continue
            samples.append(replace(sample, rivals=_rivals(face, faces)))
            if not all_faces:
                break
        if not samples:
            raise refused[0]
        return samples

    def _faces(self, photo: ReducedPhoto) -> list[Face]:
        faces = self._detector.detect(photo.pixels, photo.size)
        if not faces:
            width, height = photo.size
            raise PhotoError(
                "no_face",
                f"No face was found in the photo of {width} x {height} px. Use a photo in which a face is clearly "
                "visible, upright and larger than 20 px.",
            )
        return faces[: self._limits.max_faces]

    def _check_size(self, face: Face) -> None:
        distance = eye_distance(face.landmarks)
        if distance < self._limits.min_eye_distance:
            raise PhotoError(
                "too_small",
                f"The face is too small: {distance:.1f} px between the eyes, at least "
                f"{self._limits.min_eye_distance:.1f} needed. Use a photo with more pixels or taken closer.",
            )

    def _measured(self, crop: UInt8, digest: str, source_name: str, index: int, face: Face | None) -> Sample:
        quality = sharpness(crop)
        if quality < self._limits.min_sharpness:
            raise PhotoError(
                "blurred",
                f"The face is blurred or blank: sharpness {quality:.1f}, at least "
                f"{self._limits.min_sharpness:.1f} needed. Use a sharper photo.",
            )
        return Sample(digest, source_name, index, face, quality, alignment.encode_crop(crop))


def _rivals(face: Face, faces: list[Face]) -> int:
    """How many other faces are at least half as large as this one."""
    return sum(other.box.area >= _RIVAL * face.box.area for other in faces if other is not face)


class _Photo:
    """A photo that is decoded no larger than its faces need.

    A face is cut out of the reduced photo if it still fills its crop there, and otherwise out of the whole photo.


    Args:
        data: The file's bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.reduced = decode_reduced(data, MAX_SIDE)

    def aligned(self, face: Face) -> UInt8:
        """The crop of one face, whose landmarks are in the photo's pixels."""
        if self.reduced.factor == 1:
            return alignment.align(self.reduced.pixels, face.landmarks)
        # Pixel centres lie at whole numbers plus a half.
        landmarks = (face.landmarks + np.float32(0.5)) / np.float32(self.reduced.factor) - np.float32(0.5)
        if alignment.fills_crop(landmarks):
            return alignment.align(self.reduced.pixels, landmarks)
        return alignment.align(self._whole, face.landmarks)

    @cached_property
    def _whole(self) -> UInt8:
        return decode(self._data)


def _let_go(error: BaseException | None) -> None:
    """Free the photo's pixels, which the error's frames hold, while the photo's share of memory is still taken."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
