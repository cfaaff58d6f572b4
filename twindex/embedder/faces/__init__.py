"""From pixels to aligned faces: detection, alignment and quality."""
