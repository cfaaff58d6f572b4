"""A face's box, landmarks and confidence as JSON.

Stored as `{"box": [x, y, width, height], "landmarks": five [x, y], "confidence": c}`: pixels as JSON numbers, which
hold every float32 and float64 exactly.
"""

from typing import Any

from twindex.types import Box, Face


def face_to_json(face: Face) -> dict[str, Any]:
    """The stored form of a face."""
    box = face.box
    return {
        "box": [float(box.x), float(box.y), float(box.width), float(box.height)],
        "landmarks": face.landmarks.tolist(),
        "confidence": float(face.confidence),
    }


def face_from_json(stored: dict[str, Any]) -> Face:
    """The face that `face_to_json` stored."""
    import numpy as np

    return Face(Box(*stored["box"]), np.array(stored["landmarks"], dtype=np.float32), stored["confidence"])
