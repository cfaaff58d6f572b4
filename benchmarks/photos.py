"""From photo files to boxes, decisions and enrolments, against `face_recognition` (dlib) and the `mtcnn` package.

python benchmarks/photos.py PHOTOS          # a folder with one sub-folder per subject
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from big_gallery import make_gallery
from likeness import Likeness
from report import interleaved, machine, publish, summary

from twindex.embedder.faces.detector import Detector
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.decoding import decode
from twindex.embedder.photos.files import photos_below, read_photo
from twindex.evaluation.capture import capture_one
from twindex.extras import extra
from twindex.files.user_folders import cache_dir
from twindex.gallery.service import Gallery
from twindex.jobs.enroll import BATCH, plan_job, run_job
from twindex.jobs.plan import plan_paths
from twindex.running.pipeline import READERS
from twindex.types import Sample, UInt8

_GALLERY = 10_000


def detection(photos: list[Path], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds a photo, and how far the two agree on the most prominent face."""
    with extra("bench"):
        from mtcnn import MTCNN

    images = [decode(read_photo(path)) for path in photos]
    ours, theirs = Detector(cache=cache_dir()), MTCNN(device="CPU:0")
    contestants = {
        "mtcnn package": lambda: [theirs.detect_faces(image) for image in images],
        "Twindex": lambda: [ours.detect(image) for image in images],
    }
    seconds = interleaved(contestants, rounds)
    overlaps, offsets = zip(*(_agreement(ours, theirs, image) for image in images), strict=True)
    agree = {"same face (IoU >= 0.9)": f"{100 * np.mean(np.array(overlaps) >= 0.9):.1f} %"}
    agree |= {"landmarks apart, median": f"{np.nanmedian(offsets):.2f} px"}
    return _rows("detection", seconds, len(photos), "mtcnn package", {"Twindex": agree})


def decision(photos: list[Path], rounds: int) -> list[dict[str, Any]]:
    """One photo at a time, everything loaded, searched in a gallery of ten thousand."""
    import face_recognition

    random = np.random.default_rng(1)
    encodings = random.normal(size=(_GALLERY, 128))
    encodings /= np.linalg.norm(encodings, axis=1, keepdims=True)

    def theirs() -> None:
        for path in photos:
            for found in face_recognition.face_encodings(face_recognition.load_image_file(path))[:1]:
                face_recognition.face_distance(encodings, found).argmin()

    with tempfile.TemporaryDirectory() as folder:
        make_gallery(Path(folder) / "gallery", _GALLERY, 1, 1, Likeness.load())
        with Gallery.open(Path(folder) / "gallery") as gallery:
            reader = FaceReader()

            def ours() -> None:
                for path in photos:
                    gallery.answer(str(path), reader.samples(read_photo(path), str(path)), 5)

            seconds = interleaved({"face_recognition": theirs, "Twindex": ours}, rounds)
    return _rows(f"photo to decision, {_GALLERY} enrolled", seconds, len(photos), "face_recognition", {})


def enrolment(photos: list[Path], rounds: int) -> list[dict[str, Any]]:
    """Photo files to stored references, and its stages alone, each as the job runs it."""
    import face_recognition

    reader, many = FaceReader(), FaceReader.of_many(READERS)
    samples = [reader.samples(read_photo(path), str(path))[0] for path in photos]

    def theirs() -> None:
        for path in photos:
            face_recognition.face_encodings(face_recognition.load_image_file(path))[:1]

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder, Gallery.create(Path(folder) / "gallery") as gallery:
            gallery._embedders = shared._embedders  # compiled once, as in a long job
            job = plan_job(gallery, [*plan_paths(photos, "somebody")], {"pre_cropped": False})
            run_job(gallery, job, many, lambda _: None)

    def embedding() -> None:
        for start in range(0, len(samples), BATCH):
            shared.embedder(fingerprint).embed_samples(samples[start : start + BATCH])

    def reading() -> None:
        for path in photos:
            reader.samples(read_photo(path), str(path))

    with tempfile.TemporaryDirectory() as folder, Gallery.create(Path(folder) / "gallery") as shared:
        fingerprint = shared.active().fingerprint
        contestants: dict[str, Callable[[], None]] = {
            "face_recognition": theirs,
            "Twindex": ours,
            "its decoding and detection alone, one thread": reading,
            "its embedding alone": embedding,
        }
        seconds = interleaved(contestants, rounds)
    return _rows("enrolment", seconds, len(photos), "face_recognition", {})


def large_photo(photo: Path, rounds: int) -> list[dict[str, Any]]:
    """A photo of twelve megapixels: the first one, enlarged."""
    from PIL import Image

    image = Image.fromarray(decode(read_photo(photo))).resize((4000, 3000), Image.Resampling.BICUBIC)
    pixels, ours = np.asarray(image), Detector(cache=cache_dir())
    seconds = interleaved({"Twindex": lambda: ours.detect(pixels)}, rounds)
    return _rows("detection, 4000 x 3000 px", seconds, 1, "Twindex", {})


def _agreement(ours: Detector, theirs: Any, image: UInt8) -> tuple[float, float]:
    """Overlap (intersection over union) of our first face with the package's nearest, and the landmarks' distance."""
    mine, others = ours.detect(image), theirs.detect_faces(image)
    if not mine or not others:
        return float(bool(mine) == bool(others)), np.nan
    box = mine[0].box
    best, nearest = max(((_overlap(box, other["box"]), other) for other in others), key=lambda pair: pair[0])
    points = [nearest["keypoints"][name] for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")]
    apart = np.linalg.norm(mine[0].landmarks - np.array(points, np.float32), axis=1).mean()
    return best, float(apart) if best >= 0.5 else np.nan


def _overlap(mine: Any, other: list[float]) -> float:
    left, top = max(mine.x, other[0]), max(mine.y, other[1])
    right = min(mine.x + mine.width, other[0] + other[2])
    bottom = min(mine.y + mine.height, other[1] + other[3])
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    return float(shared / (mine.width * mine.height + other[2] * other[3] - shared))


def _rows(
    what: str, seconds: dict[str, list[float]], count: int, peer: str, more: dict[str, dict[str, str]]
) -> list[dict[str, Any]]:
    """Milliseconds a photo beside the peer's."""
    figures = {name: summary([taken / count for taken in each]) for name, each in seconds.items()}
    return [
        {
            "what": what,
            "who": name,
            "ms a photo": one["median_ms"],
            "iqr_ms": one["iqr_ms"],
            "photos/s": round(1e3 / one["median_ms"], 1),
            "speed, peer = 1": round(figures[peer]["median_ms"] / one["median_ms"], 2),
            "agreement": ", ".join(f"{key} {value}" for key, value in more.get(name, {}).items()),
        }
        for name, one in figures.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=100, help="photos with a usable face, one a subject")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folders = sorted(path for path in options.photos.iterdir() if path.is_dir())
    first = (min(photos_below(folder), default=None) for folder in folders)
    reader = FaceReader()
    usable = (path for path in first if path and isinstance(capture_one(path, reader), Sample))
    photos = list(islice(usable, options.count))
    started = time.perf_counter()
    rows = [
        *detection(photos, options.rounds),
        *large_photo(photos[0], options.rounds),
        *decision(photos, options.rounds),
        *enrolment(photos, options.rounds),
    ]
    about = {**machine("openvino", "mtcnn", "face_recognition"), "photos": len(photos), "rounds": options.rounds}
    publish("Photos", {**about, "seconds": round(time.perf_counter() - started)}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
