"""People who do not exist, from the photos that ship with the project."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import twindex.demo

PEOPLE = Path(twindex.demo.__file__).parent / "people"


def portraits(group: str = "enrolled") -> list[Path]:
    """All photos of a group of people, in name order."""
    return sorted((PEOPLE / group).rglob("*.jpg"))


def portrait(number: int = 0) -> Image.Image:
    """One photo of an enrolled person, 200 x 220 RGB."""
    return Image.open(BytesIO(portraits()[number].read_bytes())).convert("RGB")


def crowd(faces: int, columns: int) -> Image.Image:
    """A photo of many people in rows."""
    photos = [portrait(number % len(portraits())) for number in range(faces)]
    width, height = photos[0].size
    picture = Image.new("RGB", (width * columns, height * -(-faces // columns)), "grey")
    for place, photo in enumerate(photos):
        picture.paste(photo, (place % columns * width, place // columns * height))
    return picture


def noise(width: int, height: int) -> Image.Image:
    """Pixels of no meaning."""
    return Image.fromarray(np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8))
