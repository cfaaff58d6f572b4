"""How usable a captured face is: its sharpness and its size."""

import numpy as np
from PIL import Image

from twindex.types import Float32, UInt8

SIDE = 128
EYES_TO_MOUTH = 0.867  # eye distance by distance from eyes to mouth, in the template of `alignment.py`


def sharpness(crop: UInt8) -> float:
    """Variance of the Laplacian of the grey crop, grey levels squared (Pech-Pacheco et al., ICPR 2000).

    Args:
        crop: (h, w, 3) uint8, measured at 128 x 128 so that crops of all sizes can be compared.
    """
    grey = np.asarray(Image.fromarray(crop).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var())


def eye_distance(landmarks: Float32) -> float:
    """Pixels between the eyes, as they would be seen from the front.

    In profile, one eye hides the other, but the distance from between the eyes to the middle of the mouth is the same.

    Args:
        landmarks: (5, 2) float32, pixels, in the order of `twindex.types.Face`.
    """
    between = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    down = float(np.linalg.norm((landmarks[0] + landmarks[1] - landmarks[3] - landmarks[4]) / 2))
    return max(between, EYES_TO_MOUTH * down)
