"""Training photos of subjects that differ by the colours of coarse squares."""

from pathlib import Path

import numpy as np
from PIL import Image

SUBJECTS, PHOTOS = 10, 3


def coloured_faces(root: Path, seed: int) -> Path:
    """Write `root/SUBJECT/PHOTO.png`, 128 x 128; the photos of a subject are alike."""
    random = np.random.default_rng(seed)
    for subject in range(SUBJECTS):
        (root / f"{subject}").mkdir(parents=True)
        look = random.integers(40, 216, (4, 4, 3))
        for photo in range(PHOTOS):
            pixels = np.clip(look + random.normal(0, 12, look.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((128, 128)).save(root / f"{subject}" / f"{photo}.png")
    return root
