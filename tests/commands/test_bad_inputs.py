"""Bad inputs through the real command line: the batch goes on, every item has its reason, memory stays bounded."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Run
from tests.corpus import files, images, manifests
from tests.corpus.people import portraits

LARGEST = ("largest-palette.png", "largest-rgba.png")
MOST_MEMORY = 600  # MiB above the same command on good photos alone


def enroll(folder: Path, *arguments: object) -> tuple[subprocess.CompletedProcess[bytes], float]:
    """Enrol a folder's `people` in a new process: how it ended, and the most memory it had in MiB."""
    peak = folder / "peak"
    command = [sys.executable, "-m", "tests.commands.enrolling_measured", peak, "--gallery", folder / "gallery"]
    ended = subprocess.run([*map(str, command), *map(str, arguments)], capture_output=True, check=False, timeout=300)
    assert b"Traceback" not in ended.stderr
    return ended, float(peak.read_text())


def corpus(root: Path) -> dict[str, str | None]:
    """The whole corpus as a folder to enrol: each path, and the reason that it must be given."""
    expected: dict[str, str | None] = dict.fromkeys(map(str, files.good_portraits(root, 4)))
    bad = {**images.BAD, **{name: images.LARGEST[name] for name in LARGEST}}
    (root / "zed").mkdir()
    for name, (reason, make) in bad.items():
        (root / "zed" / name).write_bytes(make())
        expected[str(root / "zed" / name)] = reason
    for name, make_file in files.UNREADABLE.items():
        make_file(root / "zed" / name)
        expected[str(root / "zed" / name)] = "unreadable"
    expected |= dict.fromkeys(map(str, files.name_files(root / "zed", b"not a photo")), "unreadable")
    files.link_folder_to_its_parent(root / "zed")
    return expected


def printable_lines(output: bytes) -> list[str]:
    lines = output.decode().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    return lines


@pytest.mark.slow
def test_a_batch_over_the_corpus_goes_on_and_reports_everything(tmp_path: Path) -> None:
    good = tmp_path / "good"
    files.good_portraits(good / "people", 4)
    ended, idle = enroll(good, "enroll", good / "people")
    assert ended.returncode == 0
    expected = corpus(tmp_path / "people")
    ended, peak = enroll(tmp_path, "--json", "enroll", tmp_path / "people")
    report = json.loads(ended.stdout)
    reasons = {item["path"]: item["reason"] and item["reason"].split(":")[0] for item in report["items"]}
    assert ended.returncode == 4
    assert reasons == expected
    assert (report["enrolled"], report["failed"]) == (4, len(expected) - 4)
    assert peak - idle < MOST_MEMORY
    assert b"\x1b" not in ended.stdout + ended.stderr


def test_each_bad_photo_is_one_harmless_line(tmp_path: Path) -> None:
    root = tmp_path / "people"
    files.good_portraits(root, 1)
    (root / "zed").mkdir()
    bad = files.name_files(root / "zed", b"not a photo")
    (root / "zed" / "gif.jpg").write_bytes(images.BAD["disguised-gif.jpg"][1]())
    ended, _ = enroll(tmp_path, "enroll", root)
    lines = printable_lines(ended.stdout)
    assert ended.returncode == 4
    failed = [line for line in lines if line.startswith("failed   ")]
    assert (len(failed), len(lines)) == (len(bad) + 1, len(bad) + 3)
    assert lines[-1].startswith(f"enrolled 1, skipped 0, failed {len(bad) + 1} ")
    assert all(line.endswith(".") for line in failed)
    assert any("esc \\x1b[31mred\\x1b]0;title\\x07.jpg: unreadable: The file is not" in line for line in lines)
    assert any("right-to-left \\u202egpj" in line for line in lines)
    assert any("latin-1 \u00e9\\udcff" in line or "latin-1 \\udce9\\udcff" in line for line in lines)
    printable_lines(ended.stderr)


def test_a_photo_with_an_awkward_name_is_enrolled_and_found(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "people" / "zed"
    root.mkdir(parents=True)
    paths = files.name_files(root, portraits()[0].read_bytes())
    enrolled = run("--gallery", tmp_path / "g", "--json", "enroll", root.parent)
    assert enrolled.status == 0
    assert {os.fsencode(item["path"]) for item in enrolled.json["items"]} == {os.fsencode(path) for path in paths}
    shown = run("--gallery", tmp_path / "g", "jobs", "show", 1)
    assert shown.status == 0
    printable_lines(shown.out.encode())
    answer = run("--gallery", tmp_path / "g", "--json", "query", paths[5]).json
    assert os.fsencode(answer["probe"]) == os.fsencode(paths[5])
    assert answer["faces"][0]["candidates"][0]["subject"] == "zed"
    printable_lines(run("--gallery", tmp_path / "g", "query", *paths[:3]).out.encode())


def test_a_query_goes_on_after_bad_photos(run: Run, enrolled: Path, tmp_path: Path) -> None:
    names = ("empty.jpg", "cut.png", "disguised-pdf.jpg", "one-bit-bomb.png", "one-row.png", "tiny-face.jpg")
    for name in names:
        (tmp_path / name).write_bytes(images.BAD[name][1]())
    result = run("--gallery", enrolled, "--json", "query", *(tmp_path / name for name in names), portraits()[0])
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["error"] and answer["error"]["code"] for answer in answers] == [
        *(images.BAD[name][0] for name in names),
        None,
    ]
    assert result.status == 3
    lines = [line for line in printable_lines(result.err.encode()) if line.startswith(str(tmp_path))]
    assert len(lines) == len(names)


@pytest.mark.parametrize("name", manifests.BAD)
def test_a_bad_manifest_enrols_nothing_and_is_one_line(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").symlink_to("/usr")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "staff.csv").write_bytes(manifests.BAD[name][1])
    result = run("--gallery", tmp_path / "g", "--json", "enroll", "--manifest", tmp_path / "staff.csv")
    assert (result.status, result.json["error"]["code"]) == (2, "usage")
    assert len(printable_lines(result.err.encode())) == 1
    assert not (tmp_path / "g").exists()


def _no_photo(path: Path) -> None:
    path.write_text("nothing")


@pytest.mark.parametrize("make", [_no_photo, files.UNREADABLE["pipe.jpg"], files.UNREADABLE["endless.jpg"]])
def test_verify_refuses_what_is_no_photo(run: Run, tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "x.jpg")
    result = run("--gallery", tmp_path / "g", "--json", "verify", portraits()[0], tmp_path / "x.jpg")
    assert (result.status, result.json["error"]["code"]) == (3, "unreadable")
    assert len(printable_lines(result.err.encode())) == 1
