"""Several folders of training photos: with labels, with one photo of each subject, and without sub-folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twindex.embedder.training.data.faces import FaceFolder, TrainingFaces
from twindex.errors import UsageError


def write(root: Path, photos: dict[str, int]) -> Path:
    """So many photos of each subject; of the subject "" they lie in the folder itself."""
    for subject, count in photos.items():
        (root / subject).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (80, 80)).save(root / subject / f"{number}.png")
    return root


@pytest.fixture
def three(tmp_path: Path) -> TrainingFaces:
    labelled = write(tmp_path / "labelled", {f"person{number}": 2 for number in range(8)})
    single = write(tmp_path / "single", {f"other{number}": 1 for number in range(20)})
    plain = write(tmp_path / "plain", {"": 5})
    (plain / "notes.txt").write_text("no photo", "utf-8")
    return TrainingFaces.scan(labelled, single, plain)


def test_each_kind_of_folder_is_recognised(three: TrainingFaces) -> None:
    assert three.folders == (
        FaceFolder("labelled", range(16), labelled=True, named=True),
        FaceFolder("single", range(16, 36), labelled=False, named=True),
        FaceFolder("plain", range(36, 41), labelled=False, named=False),
    )
    assert three.subjects.tolist() == [*np.repeat(np.arange(8), 2), *range(8, 33)]
    assert [path.name for path in three.paths[36:]] == [f"{number}.png" for number in range(5)]


def test_faces_without_folders_are_one_with_labels() -> None:
    faces = TrainingFaces((Path("a/1.png"), Path("b/1.png")), np.array([0, 1]))
    assert faces.folders == (FaceFolder("", range(2)),)


def test_only_labelled_folders_make_pairs(three: TrainingFaces) -> None:
    np.testing.assert_array_equal(three.labelled(np.array([3, 15, 16, 30, 40])), [3, 15])


def test_each_folder_is_split_by_itself_and_nobody_without_a_name_is_held_out(three: TrainingFaces) -> None:
    learning, held_out = three.split(0.3, "name")
    assert sorted([*learning, *held_out]) == list(range(41))
    assert len(set(three.subjects[held_out[held_out < 16]].tolist())) >= 2
    assert set(range(36, 41)) <= set(learning.tolist())
    alone = TrainingFaces.scan(three.paths[0].parents[1])
    np.testing.assert_array_equal(alone.split(0.3, "name")[1], held_out[held_out < 16])


def test_folders_are_part_of_the_digest(three: TrainingFaces, tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("labelled", "single", "plain")]
    assert TrainingFaces.scan(*roots).digest == three.digest
    assert TrainingFaces.scan(*roots[::-1]).digest != three.digest
    one = TrainingFaces.scan(roots[0])
    assert one.digest == TrainingFaces(one.paths, one.subjects).digest  # as before there were several folders


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"empty": {"ada": 0}}, "empty has no photos"),
        ({"again/labelled": {"ada": 1}}, "need different names.*labelled, labelled"),
    ],
)
def test_folders_that_cannot_be_used_together_are_refused(
    tmp_path: Path, others: dict[str, dict[str, int]], message: str
) -> None:
    roots = [write(tmp_path / "labelled", {"ada": 2, "ben": 2})]
    roots += [write(tmp_path / name, photos) for name, photos in others.items()]
    with pytest.raises(UsageError, match=message):
        TrainingFaces.scan(*roots)


def test_without_any_pair_the_folders_are_counted(tmp_path: Path) -> None:
    roots = [write(tmp_path / "single", {"ada": 1, "ben": 1}), write(tmp_path / "plain", {"": 3})]
    with pytest.raises(UsageError, match="several photos; single has 2, plain has 3"):
        TrainingFaces.scan(*roots)
