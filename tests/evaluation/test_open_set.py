"""The photos of a folder of people."""

from pathlib import Path

import pytest

from twindex.errors import UsageError
from twindex.evaluation.open_set import subject_photos


def test_a_sub_folder_or_a_loose_photo_is_a_person(tmp_path: Path) -> None:
    for name in ("ada/1.jpg", "ada/more/2.png", "zoë.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(person, photo.name) for person, photo in subject_photos(tmp_path)]
    assert sorted(found) == [("ada", "1.jpg"), ("ada", "2.png"), ("zoë", "zoë.jpg")]


def test_a_folder_without_photos_or_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are no photos"):
        subject_photos(tmp_path)
    with pytest.raises(UsageError, match="cannot be listed"):
        subject_photos(tmp_path / "gone")
