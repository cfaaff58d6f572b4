"""Make photos of people who do not exist, for the demo, the tests and the README.

Usage: python tools/make_people.py --faces FOLDER --teacher MODEL.onnx --output twindex/demo/people --seed 10

FOLDER holds one sub-folder a subject with 128x128 crops aligned to the usual five points (CelebA was used). People are
draws from a linear model of these faces, see `face_model.py`. Nothing of the model is written, only the drawn photos.

A drawn person is discarded when a face recogniser finds one of FOLDER's subjects nearer to it than the median subject
is to the most similar other subject: the people who remain resemble no subject more than strangers resemble each
other. It is asked twice, about the subjects' photos and about the fitted subjects as the model shows them, because the
model's blur alone sets drawn people apart from photos.

The same seed draws the same people; rounding in the sums makes a few pixels differ by a few grey levels between runs.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from face_model import COMPONENTS, SIDE, FaceModel, Float32, UInt8, fit, symmetric_means
from PIL import Image, ImageFilter

from twindex.embedder.inference.openvino_import import openvino

ENROLLED = ("kenji", "clara", "otto", "samir", "kiran", "ines", "greta", "ada", "ben", "hugo", "jürgen", "zoë")
STRANGERS = ("stranger-1", "stranger-2", "stranger-3", "stranger-4", "stranger-5", "stranger-6")
IN_GROUP = ("ada", "hugo", "stranger-1", "zoë")  # from left to right
PHOTOS_TO_ENROL, PHOTOS_TO_PROBE, PHOTOS_OF_STRANGER = 3, 2, 2

FADE = 48  # pixels around a crop in which it fades into the background
FIT_EVERY = 4  # every fourth subject with enough photos is fitted: 2,300 give a basis that more would hardly change
FIT_PHOTOS = 5
MIN_SEPARATION = 1.2  # Euclidean, between the templates of two people
STRANGER_SEPARATION = 1.25  # the same, between a stranger and everybody drawn before
MAX_SPREAD = 0.95  # Euclidean, between the templates of two photos of one person
MAX_DRAWS = 10_000

PHOTO_SIZE, GROUP_SIZE = (200, 220), (640, 260)  # pixels, width and height
JPEG_QUALITY = 88


class Teacher:
    """A public face recogniser that judges the drawn people: ONNX, input (n, 3, 112, 112) RGB, ImageNet statistics."""

    def __init__(self, path: Path) -> None:
        # float32, because a rounder arithmetic would judge close cases differently from machine to machine.
        self._network = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def templates(self, crops: UInt8) -> Float32:
        """Embed (n, SIDE, SIDE, 3) crops, each summed with its mirror image: (n, dim) float32, unit length."""
        pixels = crops[:, 8:-8, 8:-8].astype(np.float32) / 255
        planes = ((pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).transpose(0, 3, 1, 2).astype(np.float32)
        return unit(self._network(planes)[0] + self._network(np.ascontiguousarray(planes[..., ::-1]))[0])


def unit(vectors: Float32) -> Float32:
    """Rows scaled to unit length."""
    scaled: Float32 = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def distances(left: Float32, right: Float32) -> Float32:
    """(n, m) Euclidean distances of the unit-length rows of (n, dim) and (m, dim)."""
    squared: Float32 = np.maximum(2 - 2 * left @ right.T, 0)
    return np.sqrt(squared)


def read_subjects(faces: Path) -> Iterator[UInt8]:
    """Each subject's crops in the order of the folders' names: (photos, SIDE, SIDE, 3) uint8 RGB."""
    for folder in sorted(path for path in faces.iterdir() if path.is_dir()):
        crops = [np.asarray(Image.open(photo).convert("RGB")) for photo in sorted(folder.iterdir())]
        if {crop.shape for crop in crops} != {(SIDE, SIDE, 3)}:
            raise SystemExit(f"{folder}: expected photos of {SIDE}x{SIDE} pixels; give a folder of aligned crops.")
        yield np.stack(crops)


def study(faces: Path, teacher: Teacher) -> tuple[FaceModel, list[Float32]]:
    """Read every subject once and fit the model to some of them.

    Returns:
        The model, and (subjects, dim) templates: of all subjects' photos, and of the fitted as the model shows them.
    """
    chosen, templates = [], []
    for position, crops in enumerate(read_subjects(faces)):
        templates.append(teacher.templates(crops).sum(axis=0))
        if position % FIT_EVERY == 0 and len(crops) >= FIT_PHOTOS:
            chosen.append(crops[:FIT_PHOTOS])
    if len(chosen) <= COMPONENTS:
        raise SystemExit(f"{faces}: {len(chosen)} subjects to fit; expected more than {COMPONENTS}.")
    fitted = np.stack(chosen)
    model = fit(fitted)
    shown = model.show(symmetric_means(fitted))
    return model, [unit(np.stack(templates)), np.concatenate([teacher.templates(face[None]) for face in shown])]


def nearest_others(templates: Float32) -> Float32:
    """(n,) distances of each of (n, dim) templates to the most similar other one."""
    between = distances(templates, templates)
    np.fill_diagonal(between, np.inf)
    nearest: Float32 = between.min(axis=1)
    return nearest


def draw_people(
    model: FaceModel, teacher: Teacher, real: list[Float32], rng: np.random.Generator
) -> tuple[dict[str, UInt8], dict[str, list[float] | float]]:
    """Draw people until all names are given, each far from the real subjects and from the others.

    Returns:
        Each name's crops, and the figures that the draw was judged by, of either list of real templates in turn.
    """
    margins = [float(np.median(nearest_others(templates))) for templates in real]
    nearest_real = np.full(len(real), np.inf)
    people: dict[str, UInt8] = {}
    drawn = np.empty((0, real[0].shape[1]), np.float32)
    draws, widest = 0, 0.0
    for name in (*ENROLLED, *STRANGERS):
        photos = PHOTOS_TO_ENROL + PHOTOS_TO_PROBE if name in ENROLLED else PHOTOS_OF_STRANGER
        while name not in people:
            draws += 1
            if draws > MAX_DRAWS:
                raise SystemExit(f"Only {len(people)} people found in {MAX_DRAWS} draws; lower MIN_SEPARATION.")
            crops = model.draw(photos, rng)
            each = teacher.templates(crops)
            person = unit(each.sum(axis=0, keepdims=True))
            spread = float(distances(each, each).max())
            looks = (person, teacher.templates(model.show(symmetric_means(crops[None]))))
            resemblance = [float(distances(*pair).min()) for pair in zip(looks, real, strict=True)]
            invented = all(np.greater_equal(resemblance, margins))
            separation = STRANGER_SEPARATION if name in STRANGERS else MIN_SEPARATION
            apart = (distances(person, drawn) >= separation).all()
            if invented and apart and spread <= MAX_SPREAD:
                people[name], drawn, widest = crops, np.concatenate([drawn, person]), max(widest, spread)
                nearest_real = np.minimum(nearest_real, resemblance)
    return people, {
        "draws": draws,
        "margins_to_real_subjects": margins,
        "nearest_real_subjects": nearest_real.tolist(),
        "nearest_two_people": float(nearest_others(drawn).min()),
        "farthest_two_photos_of_one": widest,
    }


def background(size: tuple[int, int], colour: Float32, rng: np.random.Generator) -> Float32:
    """A wall in soft light: (height, width, 3) float32, `colour` brightened and darkened along a random direction."""
    rows, columns = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + 0.16 * (np.cos(angle) * columns + np.sin(angle) * rows)
    wall: Float32 = (light[..., None] * colour).astype(np.float32)
    return wall


def rounded_mask(side: int, inner: float, outer: float) -> Float32:
    """(side, side, 1) float32: 1 within a rounded square, 0 beyond another, both given as shares of the half side."""
    axis = np.abs(np.linspace(-1, 1, side, dtype=np.float32))
    radius = (axis[:, None] ** 4 + axis[None, :] ** 4) ** np.float32(0.25)
    mask: Float32 = np.clip((outer - radius) / (outer - inner), 0, 1)
    return mask[..., None]


def place(canvas: Float32, crop: UInt8, centre: tuple[float, float], scale: float, degrees: float) -> Float32:
    """Paste a crop into a canvas: its rim's colours run on, ever softer, and fade into the canvas.

    Args:
        canvas: (height, width, 3) float32, grey levels; left as it is.
        crop: (SIDE, SIDE, 3) uint8.
        centre: Where the crop's centre comes to lie, in pixels of the canvas.
        scale: Enlargement of the crop.
        degrees: Clockwise rotation.

    Returns:
        The new canvas.
    """
    padded = np.pad(crop, ((FADE, FADE), (FADE, FADE), (0, 0)), mode="edge")
    side = len(padded)
    soft = np.asarray(Image.fromarray(padded).filter(ImageFilter.GaussianBlur(FADE / 5)), np.float32)
    sharpness = rounded_mask(side, 0.85 * SIDE / side, SIDE / side)
    layers = [padded * sharpness + soft * (1 - sharpness), 255 * rounded_mask(side, 0.9 * SIDE / side, 1)]

    cos, sin = np.cos(np.radians(degrees)) / scale, np.sin(np.radians(degrees)) / scale
    (x, y), half = centre, side / 2
    affine = (cos, sin, half - cos * x - sin * y, -sin, cos, half + sin * x - cos * y)
    size = (canvas.shape[1], canvas.shape[0])
    image = Image.fromarray(np.concatenate(layers, axis=2).astype(np.uint8))
    placed = np.asarray(image.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC), np.float32)
    share = placed[..., 3:] / np.float32(255)
    return canvas * (1 - share) + placed[..., :3] * share


def rim_colour(crop: UInt8) -> Float32:
    """(3,) float32: the mean colour of a crop's left, right and upper rim, in which the face was seen."""
    rim = np.concatenate([crop[:, :6].reshape(-1, 3), crop[:, -6:].reshape(-1, 3), crop[:6].reshape(-1, 3)])
    colour: Float32 = rim.mean(axis=0, dtype=np.float32)
    return colour


def portrait(crop: UInt8, rng: np.random.Generator) -> Float32:
    """One face, turned, enlarged and shifted at random, on a background of PHOTO_SIZE."""
    width, height = PHOTO_SIZE
    centre = (width / 2 + rng.uniform(-14, 14), height / 2 + rng.uniform(-14, 14))
    canvas = background(PHOTO_SIZE, rim_colour(crop), rng)
    return place(canvas, crop, centre, rng.uniform(0.9, 1.3), rng.uniform(-12, 12))


def group(crops: list[UInt8], rng: np.random.Generator) -> Float32:
    """Faces side by side on a background of GROUP_SIZE."""
    width, height = GROUP_SIZE
    canvas = background(GROUP_SIZE, np.mean([rim_colour(crop) for crop in crops], axis=0), rng)
    for position, crop in enumerate(crops):
        centre = ((position + 0.5) * width / len(crops), height / 2 + rng.uniform(-20, 20))
        canvas = place(canvas, crop, centre, rng.uniform(1.0, 1.2), rng.uniform(-8, 8))
    return canvas


def save(picture: Float32, path: Path) -> int:
    """Write a JPEG file, refusing to replace one, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    return path.stat().st_size


def save_people(people: dict[str, UInt8], output: Path, rng: np.random.Generator) -> int:
    """Write every photo as <enrolled|probes|strangers>/<name>/<n>.jpg and the group; return the bytes written."""
    written = 0
    for name, crops in people.items():
        for number, crop in enumerate(crops, start=1):
            role = "strangers" if name in STRANGERS else "enrolled" if number <= PHOTOS_TO_ENROL else "probes"
            written += save(portrait(crop, rng), output / role / name / f"{number}.jpg")
    return written + save(group([people[name][-1] for name in IN_GROUP], rng), output / "group.jpg")


def main() -> None:
    """Fit, draw, write, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Make photos of people who do not exist.")
    parser.add_argument(
        "--faces", type=Path, required=True, help="folder with one sub-folder of aligned crops a subject"
    )
    parser.add_argument("--teacher", type=Path, required=True, help="ONNX face recogniser that judges the people")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to; its photos must not exist yet")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    teacher = Teacher(arguments.teacher)
    model, real = study(arguments.faces, teacher)
    people, figures = draw_people(model, teacher, real, rng)
    print(json.dumps(figures | {"bytes": save_people(people, arguments.output, rng)}, indent=2))


if __name__ == "__main__":
    main()
