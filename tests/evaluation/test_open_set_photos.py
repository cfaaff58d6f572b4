"""The photos of an open-set test: the people of a folder, and who may be a probe or a stranger."""

from pathlib import Path

import numpy as np
import pytest

from twindex.errors import UsageError
from twindex.evaluation.metrics.identification import STRANGER
from twindex.evaluation.open_set_photos import OpenSet, subject_photos


def test_a_sub_folder_or_a_loose_photo_is_a_person(tmp_path: Path) -> None:
    for name in ("ada/1.jpg", "ada/more/2.png", "zoë.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(person, photo.name) for person, photo in subject_photos(tmp_path)]
    assert sorted(found) == [("ada", "1.jpg"), ("ada", "2.png"), ("zoë", "zoë.jpg")]


def test_a_folder_without_photos_or_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are no photos"):
        subject_photos(tmp_path)
    with pytest.raises(UsageError, match="cannot be listed"):
        subject_photos(tmp_path / "gone")


def listed(*names: str) -> tuple[tuple[str, Path], ...]:
    return tuple((name, Path(f"{name}.jpg")) for name in names)


def test_people_are_columns_in_the_order_of_their_names() -> None:
    photos = OpenSet(listed("zoe", "ada", "zoe"), listed("zoe", "ada"), listed("eve"))
    assert photos.names == ["ada", "zoe"]
    np.testing.assert_array_equal(photos.owners, [1, 0, 1])
    np.testing.assert_array_equal(photos.truth, [1, 0, STRANGER])
    assert [name for name, _ in photos.asked] == ["zoe", "ada", "eve"]
    assert photos.photos == 6


def test_probes_must_be_enrolled_and_strangers_must_not() -> None:
    with pytest.raises(UsageError, match="such as 'eve': they are strangers"):
        OpenSet(listed("ada"), listed("eve"), listed("bob"))
    with pytest.raises(UsageError, match="'ada' is"):
        OpenSet(listed("ada"), listed("ada"), listed("ada"))
