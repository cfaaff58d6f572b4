"""The font of pictures, which ships with the package."""

import pytest

from twindex.commands.picture import _FONT, _font

NO_CHARACTER = "\uffff"


@pytest.mark.parametrize("letter", ["a", "ß", "Ž", "λ", "Ж", "א", "ع"])
def test_names_are_written_in_their_own_letters(letter: str) -> None:
    drawn, empty = (bytes(_font(16).getmask(text)) for text in (letter, NO_CHARACTER))
    assert drawn != empty


def test_the_font_comes_with_its_licence() -> None:
    assert "DejaVu changes are in public domain" in (_FONT.parent / "LICENSE_DEJAVU").read_text("utf-8")
