"""The most pixels that a photo may have. What a pixel costs in memory and time depends on how it is stored."""

from PIL.ImageFile import ImageFile

MAX_PIXELS = 1 << 26  # 67 megapixels, which take half a gigabyte while they are decoded

# Bytes a pixel while decoding: WebP 16, a JPEG of several scans 10 (CMYK 12) for its coefficients, others 7.
_WEBP_PIXELS = 3 << 23
_SEVERAL_SCANS_PIXELS = 3 << 24
# Pillow decodes these in Python, at up to 5 s a megapixel.
_SLOW_PIXELS = 1 << 19
_SLOW_CODECS = frozenset({"bmp_rle", "ppm", "ppm_plain"})
# Decoding passes over a progressive JPEG once for each scan. Most have ten; a small file can have thousands.
_SCAN_PIXELS = 20 * MAX_PIXELS
_START_OF_SCAN = b"\xff\xda"


def pixel_limit(image: ImageFile, data: bytes) -> int:
    """The most pixels that a photo of this kind of file may have.

    Args:
        image: Opened, not loaded.
        data: The bytes of its file.
    """
    if image.format == "WEBP":
        return _WEBP_PIXELS
    if any(tile.codec_name in _SLOW_CODECS for tile in image.tile):
        return _SLOW_PIXELS
    if image.format in ("JPEG", "MPO"):
        most = _SEVERAL_SCANS_PIXELS if _has_several_scans(image, data) else MAX_PIXELS
        # Within a scan a zero byte follows each 255, so these two bytes always start a scan.
        return min(most, _SCAN_PIXELS // max(1, data.count(_START_OF_SCAN)))
    return MAX_PIXELS


def _has_several_scans(image: ImageFile, data: bytes) -> bool:
    """Whether libjpeg needs all coefficients: the JPEG is progressive, or its first scan does not hold all colours.

    True if that is unclear.
    """
    position = 2
    while data[position : position + 1] == b"\xff":
        if data[position : position + 2] == _START_OF_SCAN:
            return "progressive" in image.info or data[position + 4 : position + 5] != bytes([len(image.getbands())])
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return True
