"""Open-set identification on folders of subjects: rank-1 of mated probes, and strangers called somebody."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from report import machine, publish

from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.photos.files import photos_below
from twindex.errors import PhotoError
from twindex.evaluation.capture import capture
from twindex.evaluation.metrics.rates import binomial_interval
from twindex.gallery import FaceAnswer, Gallery
from twindex.gallery.threshold.operating_point import calibrate
from twindex.jobs.enroll import plan_job, run_job
from twindex.jobs.plan import PlannedPhoto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder with one sub-folder per subject")
    parser.add_argument("--enrol", type=int, default=1, help="photos of each subject to enrol; the others are probes")
    parser.add_argument("--subjects", type=int, help="how many subjects with enough photos to enrol (default: all)")
    parser.add_argument("--strangers", type=int, default=0, help="how many people of a single photo to query")
    parser.add_argument("--calibrate", type=int, default=0, help="how many others of a single photo to calibrate on")
    parser.add_argument("--target-fpir", type=float, default=0.01)
    parser.add_argument("--pre-cropped", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    folders = {folder.name: photos_below(folder) for folder in sorted(options.photos.iterdir()) if folder.is_dir()}
    eligible = random.permutation([name for name, photos in folders.items() if len(photos) > options.enrol])
    mated = eligible[: options.subjects].tolist()
    single = random.permutation(sorted(name for name in set(folders) - set(mated) if len(folders[name]) == 1)).tolist()
    others, measured = single[: options.strangers], single[options.strangers :][: options.calibrate]
    reader = FaceReader()
    with tempfile.TemporaryDirectory() as folder, Gallery.create(Path(folder)) as gallery:
        planned = [PlannedPhoto(str(photo), name) for name in mated for photo in folders[name][: options.enrol]]
        failed: list[str] = []
        job = plan_job(gallery, planned, {"pre_cropped": options.pre_cropped})
        run_job(gallery, job, reader, lambda report: failed.append(report.path) if report.status == "failed" else None)
        if options.calibrate:
            calibrate_on(gallery, [folders[name][0] for name in measured], reader, options)
        threshold = gallery.threshold(gallery.active().fingerprint)
        probes = [(name, photo) for name in mated for photo in folders[name][options.enrol :]]
        known = [(name, answer(gallery, reader, photo, options.pre_cropped)) for name, photo in probes]
        strangers = [answer(gallery, reader, folders[name][0], options.pre_cropped) for name in others]
        size = gallery.store.references.count()
    first = [one is not None and one.candidates[0].subject == name for name, one in known]
    right = [
        found and one is not None and one.decision == "match" for found, (_, one) in zip(first, known, strict=True)
    ]
    called = sum(one is not None and one.decision == "match" for one in strangers)
    row = {
        "references": size,
        "failures to enrol": len(failed),
        "threshold": f"{threshold:.4f}",
        "mated probes": len(known),
        "rank-1": f"{100 * np.mean(first):.2f} %",
        "FNIR": f"{100 * (1 - np.mean(right)):.2f} %",
        "strangers": len(strangers),
        "FPIR": rate(called, len(strangers)),
    }
    publish("Identification", {**machine("openvino"), "seed": options.seed}, [row], as_json=options.json)


def calibrate_on(gallery: Gallery, photos: list[Path], reader: FaceReader, options: argparse.Namespace) -> None:
    """Set the threshold as `twindex calibrate --non-mated` does, each photo being one person."""
    fingerprint = gallery.active().fingerprint
    embedder = gallery.embedder(fingerprint)
    captured = capture(photos, reader, embedder, lambda _: None, pre_cropped=options.pre_cropped)
    usable = captured.templates[captured.usable]
    calibrate(gallery, fingerprint, options.target_fpir, {str(number): one[None] for number, one in enumerate(usable)})


def rate(events: int, attempts: int) -> str:
    """A share with its 95 % interval, or nothing to say."""
    if not attempts:
        return "-"
    low, high = binomial_interval(events, attempts)
    return f"{100 * events / attempts:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def answer(gallery: Gallery, reader: FaceReader, photo: Path, pre_cropped: bool) -> FaceAnswer | None:
    """The answer about the most prominent face; None where there is no usable one, which counts as a miss."""
    try:
        samples = reader.samples(photo.read_bytes(), photo.name, pre_cropped=pre_cropped)
    except PhotoError:
        return None
    return gallery.search(samples, top=1)[0]


if __name__ == "__main__":
    main()
