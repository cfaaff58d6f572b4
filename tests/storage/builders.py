"""Samples and vectors for tests, each made from a number; no crop shows a person."""

import hashlib
from pathlib import Path

import numpy as np

from twindex.storage import Enrolment, EnrolmentRequest, Store
from twindex.types import Box, Face, Float32, Sample

MODEL = "a1" * 32
OTHER_MODEL = "b2" * 32
DIM = 16


def unit_vector(number: int, dim: int = DIM) -> Float32:
    """(dim,) float32 of unit length."""
    values = np.random.default_rng([number, 1]).normal(size=dim)
    return (values / np.linalg.norm(values)).astype(np.float32)


def source_sha256(number: int) -> str:
    return hashlib.sha256(b"photo %d" % number).hexdigest()


def crop_bytes(number: int, length: int = 700) -> bytes:
    return np.random.default_rng([number, 2]).bytes(length)


def sample(number: int, *, face_index: int = 0, source_name: str = "photo.jpg", crop: bytes | None = None) -> Sample:
    landmarks = np.random.default_rng([number, 3]).uniform(0, 200, size=(5, 2)).astype(np.float32)
    return Sample(
        source_sha256=source_sha256(number),
        source_name=source_name,
        face_index=face_index,
        face=Face(Box(1.5, 2.25, 100.1, 120.0), landmarks, 0.875),
        quality=float(number),
        crop=crop_bytes(number) if crop is None else crop,
    )


def request(number: int, subject: str, *, dim: int = DIM, crop_length: int = 700) -> EnrolmentRequest:
    crop = crop_bytes(number, crop_length)
    return EnrolmentRequest(sample(number, crop=crop), subject, unit_vector(number, dim))


def enrol(store: Store, number: int, subject: str, model: str = MODEL) -> Enrolment:
    return store.references.enroll(sample(number), subject, model, unit_vector(number))


def acknowledged(lines: list[str]) -> dict[int, int]:
    """The enrolments that a process has acknowledged: the reference of each numbered face."""
    pairs = [line.split() for line in lines]
    return {int(number): int(reference) for number, reference in pairs}


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def remnants(folder: Path, secret: bytes) -> list[str]:
    """The names of the files below `folder` that hold any 32 bytes in a row of `secret`."""
    windows = [secret[start : start + 32] for start in range(len(secret) - 31)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if (data := path.read_bytes()) and any(window in data for window in windows)]
