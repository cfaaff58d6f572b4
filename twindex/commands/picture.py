"""Draw an answer: the probe with boxes around its faces, beside the enrolled crops of the candidates."""

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from twindex.commands.terminal import printable
from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.photos.decoding import decode
from twindex.gallery import FaceAnswer, Gallery, ProbeAnswer

PROBE_HEIGHT, ROW_HEIGHT, CROP, MARGIN, COLUMN = 420, 168, 112, 16, 132
SHOWN = 5
PAPER, INK, FAINT = (255, 255, 255), (28, 30, 34), (120, 124, 130)
_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
MATCH, UNKNOWN = (22, 133, 72), (196, 72, 28)


def draw_answer(data: bytes, answer: ProbeAnswer, gallery: Gallery, *, pre_cropped: bool = False) -> Image.Image:
    """Draw one probe's answer.

    Args:
        data: The probe photo's bytes.
        answer: The gallery's answer, without an error.
        gallery: Holds the candidates' crops.
        pre_cropped: Whether the probe was one aligned face, which has no box.

    Returns:
        An RGB picture, as wide as probe and candidates need.
    """
    probe, scale = _fitted(Image.fromarray(decode(data)))
    if not pre_cropped:
        _box_faces(probe, answer, scale)
    height = max(probe.height, ROW_HEIGHT * len(answer.faces)) + 2 * MARGIN
    shown = max((min(SHOWN, len(face.candidates)) for face in answer.faces), default=0)
    width = probe.width + 3 * MARGIN + max(COLUMN * shown, 2 * COLUMN)
    sheet = Image.new("RGB", (width, height), PAPER)
    sheet.paste(probe, (MARGIN, MARGIN))
    for number, face in enumerate(answer.faces):
        _draw_row(sheet, (probe.width + 2 * MARGIN, MARGIN + number * ROW_HEIGHT), number, face, gallery)
    return sheet


def _fitted(photo: Image.Image) -> tuple[Image.Image, float]:
    scale = min(PROBE_HEIGHT / photo.height, 2 * PROBE_HEIGHT / photo.width)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS), scale


def _box_faces(probe: Image.Image, answer: ProbeAnswer, scale: float) -> None:
    draw = ImageDraw.Draw(probe)
    for number, face in enumerate(answer.faces, 1):
        if face.box is None:
            continue
        left, top = face.box.x * scale, face.box.y * scale
        right, bottom = left + face.box.width * scale, top + face.box.height * scale
        draw.rectangle((left, top, right, bottom), outline=_colour(face), width=3)
        draw.text(
            (left + 5, top + 3), str(number), font=_font(16), fill=_colour(face), stroke_width=2, stroke_fill=PAPER
        )


def _draw_row(sheet: Image.Image, corner: tuple[int, int], number: int, face: FaceAnswer, gallery: Gallery) -> None:
    draw, (left, top) = ImageDraw.Draw(sheet), corner
    known = face.decision == "match"
    draw.text((left, top), printable(f"{number + 1}: {face.name}"), font=_font(16), fill=_colour(face))
    for place, candidate in enumerate(face.candidates[:SHOWN]):
        x, y = left + place * COLUMN, top + 22
        crop = gallery.store.references.crop(candidate.reference)
        if crop is None:
            draw.rectangle((x, y, x + CROP, y + CROP), outline=FAINT)
            draw.text((x + 8, y + 48), "crop not kept", font=_font(12), fill=FAINT)
        else:
            sheet.paste(Image.fromarray(decode_crop(crop)).resize((CROP, CROP), Image.Resampling.LANCZOS), (x, y))
        if place == 0 and known:
            draw.rectangle((x - 2, y - 2, x + CROP + 1, y + CROP + 1), outline=MATCH, width=3)
        text = _shortened(printable(candidate.subject), COLUMN - 8)
        draw.text((x, y + CROP + 2), text, font=_font(13), fill=INK)
        draw.text((x, y + CROP + 17), f"P(same) {candidate.probability:.3f}", font=_font(12), fill=FAINT)


def _colour(face: FaceAnswer) -> tuple[int, int, int]:
    return MATCH if face.decision == "match" else UNKNOWN


def _shortened(text: str, width: int) -> str:
    """`text`, cut and ended with an ellipsis if it is wider than `width` pixels."""
    font = _font(13)
    if font.getlength(text) <= width:
        return text
    lengths = range(len(text), 0, -1)
    fitting = (text[:length] + "…" for length in lengths if font.getlength(text[:length] + "…") <= width)
    return next(fitting, "…")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which ships with the package; Pillow's own font covers ASCII only."""
    return ImageFont.truetype(_FONT, size)
