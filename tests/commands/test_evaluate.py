"""`evaluate` as a user calls it, on people who do not exist."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.conftest import Run


@pytest.fixture
def pairs(people: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A list of 2 folds x 4 pairs of each kind, and its photos; one photo shows no face."""
    images, names = tmp_path / "images", sorted(path.name for path in (people / "enrolled").iterdir())
    for name in names:
        (images / name).mkdir(parents=True)
        for number, photo in enumerate(sorted((people / "enrolled" / name).iterdir())[:2], 1):
            (images / name / f"{name}_{number:04d}.jpg").write_bytes(photo.read_bytes())
    Image.new("RGB", (200, 200)).save(images / names[0] / f"{names[0]}_0001.jpg")
    lines = ["2\t4"]
    for fold in (names[:5], names[5:10]):
        lines += [f"{name}\t1\t2" for name in fold[:4]]
        lines += [f"{name}\t1\t{other}\t2" for name, other in zip(fold[1:], fold, strict=False)]
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file, images


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


@pytest.mark.slow
def test_pairs_are_measured_and_reported(run: Run, pairs: tuple[Path, Path], tmp_path: Path) -> None:
    file, images = pairs
    report = tmp_path / "report"
    result = run(
        "--gallery", tmp_path, "--json", "evaluate", "pairs", "--pairs", file, "--images", images, "--report", report
    )
    value = result.json
    assert result.status == 0
    assert set(value) >= {
        "pairs",
        "accuracy",
        "accuracy_std",
        "fnmr_at_fmr",
        "decidability",
        "ece",
        "brier",
        "failures_to_enrol",
    }
    assert (value["pairs"], value["folds"], value["failures_to_enrol"]) == (16, 2, 1)
    assert set(value["fnmr_at_fmr"]) == {"0.01", "0.001"}
    # The photo without a face is in one mated pair, which is a miss.
    assert 1 / 8 <= value["fnmr_at_fmr"]["0.01"] <= 3 / 8
    assert 0.75 <= value["accuracy"] <= 15 / 16
    assert json.loads((report / "report.json").read_text()) == value
    page = (report / "index.html").read_text("utf-8")
    assert f"{sorted(path.name for path in images.iterdir())[0]}_0001.jpg<td>no_face" in page
    shown = {name for name in ("roc.png", "distances.png", "reliability.png") if f'src="{name}"' in page}
    assert len(shown) == 3
    faces = list((report / "faces").iterdir())
    assert len(faces) == 2 * 16
    for picture in [*faces, *(report / name for name in shown)]:
        assert min(size(picture)) >= 112
    # A report is overwritten, faces included; a folder of anything else is refused.
    (report / "faces" / "9-9-a.png").touch()
    assert run("evaluate", "pairs", "--pairs", file, "--images", images, "--report", report).status == 0
    assert len(list((report / "faces").iterdir())) == 2 * 16
    refused = run("evaluate", "pairs", "--pairs", file, "--images", images, "--report", images)
    assert (refused.status, "something other than a report" in refused.err) == (2, True)


def test_unreadable_photos_are_all_misses(run: Run, tmp_path: Path) -> None:
    for name in ("ada", "ben"):
        (tmp_path / name).mkdir()
        for number in (1, 2):
            (tmp_path / name / f"{name}_{number:04d}.jpg").write_bytes(b"no photo")
    (tmp_path / "pairs.txt").write_text("1\nada\t1\t2\nada\t1\tben\t1\n")
    value = run(
        "--json",
        "evaluate",
        "pairs",
        "--pairs",
        tmp_path / "pairs.txt",
        "--images",
        tmp_path,
        "--report",
        tmp_path / "r",
    ).json
    assert (value["failures_to_enrol"], value["accuracy"], value["accuracy_std"]) == (3, 0.5, None)
    assert value["fnmr_at_fmr"] == {"0.01": 1.0, "0.001": 1.0}
    search = run(
        "evaluate",
        "search",
        *(item for name in ("enrolled", "probes", "strangers") for item in (f"--{name}", tmp_path / "ada")),
    )
    assert search.status == 2


@pytest.mark.slow
def test_search_is_measured_and_reported(run: Run, people: Path, tmp_path: Path) -> None:
    folders = [item for name in ("enrolled", "probes", "strangers") for item in (f"--{name}", people / name)]
    result = run("--gallery", tmp_path, "--json", "evaluate", "search", *folders, "--report", tmp_path / "report")
    value = result.json
    assert result.status == 0
    assert set(value) >= {"gallery_size", "rank1", "fnir_at_fpir", "failures_to_enrol"}
    assert value["gallery_size"] == len(list((people / "enrolled").rglob("*.jpg")))
    assert value["probes"] == len(list((people / "probes").rglob("*.jpg")))
    assert value["strangers"] == len(list((people / "strangers").rglob("*.jpg")))
    assert value["rank1"] >= 0.9
    assert set(value["fnir_at_fpir"]) == {"0.01", "0.003"}
    assert set(value["by_size"]) == {"10", "12"}
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert 'src="cmc.png"' in page
    assert 'src="det.png"' in page
    for plot in ("cmc.png", "det.png"):
        assert min(size(tmp_path / "report" / plot)) > 200
    nearest = run("--gallery", tmp_path, "evaluate", "search", *folders, "--fusion", "nearest")
    assert "photos of strangers cannot show an FPIR of 0.3 %: it takes 334." in nearest.err
    lines = nearest.out
    assert f"{value['gallery_size']} references of 12 people" in lines


def test_a_search_of_the_wrong_people_is_refused(run: Run, people: Path, tmp_path: Path) -> None:
    enrolled, probes, strangers = (people / name for name in ("enrolled", "probes", "strangers"))
    swapped = run("evaluate", "search", "--enrolled", enrolled, "--probes", strangers, "--strangers", probes)
    assert (swapped.status, "who are not enrolled" in swapped.err) == (2, True)
    known = run("evaluate", "search", "--enrolled", enrolled, "--probes", probes, "--strangers", enrolled)
    assert (known.status, "must not be enrolled" in known.err) == (2, True)
    (tmp_path / "empty").mkdir()
    empty = run("evaluate", "search", "--enrolled", enrolled, "--probes", tmp_path / "empty", "--strangers", strangers)
    assert (empty.status, "no photos in" in empty.err) == (2, True)
